// A program that launches a kernel with arguments from a file, and writes the arrays back to it: for sanitizers, and
// for a debugger. Included behind the source and the table `launches` of its kernels.
//
// The file has 64-bit numbers: kernel, order, grid, block, bytes of dynamic shared memory, limit of all shared memory,
// regions, arguments; for each region its size and bytes; for each argument 1, region, offset (a pointer; the number of
// regions stands for null), or 0, size and bytes; the number of pointers in tables, and for each the region and the
// offset where it stands, and where it points.
#include <fstream>

static uint64_t number(std::istream& in) {
  uint64_t value;
  in.read((char*)&value, sizeof value);
  return value;
}

int main(int, char** arguments) {
  std::ifstream in(arguments[1], std::ios::binary);
  uint64_t kernel = number(in);
  emulated::Launch how;
  how.order = number(in);
  how.alone = 1;
  for (unsigned& n : how.grid) n = number(in);
  for (unsigned& n : how.size) n = number(in);
  how.dynamic_bytes = number(in);
  how.limit = number(in);
  std::vector<std::pair<char*, size_t>> regions(number(in));
  std::vector<char*> cells(number(in));
  for (auto& [memory, size] : regions) {
    size = number(in);
    memory = new char[size];  // of exactly this size: the address sanitizer watches its ends
    in.read(memory, size);
  }
  for (char*& cell : cells) {
    bool pointer = number(in);
    uint64_t first = number(in);
    cell = (char*)aligned_alloc(64, (std::max<uint64_t>(pointer ? 8 : first, 1) + 63) / 64 * 64);
    if (pointer) {
      uint64_t offset = number(in);
      char* place = first < regions.size() ? regions[first].first + offset : nullptr;
      memcpy(cell, &place, sizeof place);
    } else {
      in.read(cell, first);
    }
  }
  for (uint64_t pointers = number(in); pointers; pointers--) {
    uint64_t where = number(in), at = number(in), region = number(in), offset = number(in);
    char* place = region < regions.size() ? regions[region].first + offset : nullptr;
    memcpy(regions[where].first + at, &place, sizeof place);
  }
  char error[512] = "";
  if (launches[kernel](how, (void**)cells.data(), error, sizeof error)) {
    fprintf(stderr, "%s\n", error);
    return 3;
  }
  std::ofstream out(arguments[1], std::ios::binary);
  for (auto& [memory, size] : regions) out.write(memory, size);
}
