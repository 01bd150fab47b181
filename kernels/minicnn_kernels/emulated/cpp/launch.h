// A grid of blocks, spread over the cores of the CPU.
#pragma once
#include "signals.h"

namespace emulated {

#ifdef __SANITIZE_THREAD__
// The sanitizer takes a new fiber with the number of an ended one for the same, and has room for 8000: end them late.
static void end_fibers() {
  static std::vector<void*> ended;
  for (int i = 0; i < block->threads; i++) ended.push_back(block->fibers[i].as_seen_by_tsan);
  if (ended.size() < 4 * MOST_THREADS) return;
  for (void* fiber : ended) __tsan_destroy_fiber(fiber);
  ended.clear();
}
#endif

static void run_block(uint3 index) {
  Block& b = *block;
  enter_emulator();
  b.index = index;
  b.threads = b.size.x * b.size.y * b.size.z;
  b.done = b.arrived = 0;
  b.votes[0] = b.votes[1] = 0;
  b.error = nullptr;
  memset(b.warps, 0, sizeof b.warps);
  begin_shared();
  for (int i = 0; i < b.threads; i++) {
    Fiber& fiber = b.fibers[i];
    fiber.number = i;
    fiber.index = {i % b.size.x, i / b.size.x % b.size.y, i / (b.size.x * b.size.y)};
    fiber.done = false;
    fiber.waits_for = nullptr;
    fiber.groups = 0;
    fiber.copies.clear();
    b.order[i] = b.how == DESCENDING ? b.threads - 1 - i : i;
    // The first switch to the fiber pops six registers and "returns" to `live`. Stacks begin at different offsets, or
    // all would fall on the same lines of the cache.
    void** top = (void**)(b.stacks + (size_t)(i + 1) * STACK - 64 - i * 192 % 4096);
    top[0] = (void*)live;
    fiber.stack_top = top - 6;
    FOR_TSAN(fiber.as_seen_by_tsan = __tsan_create_fiber(0);)
  }
  b.place = 0;
  b.current = &b.fibers[b.order[0]];
  if (b.how == RANDOM) {
    b.random += index.x * 7919 + index.y * 104729 + index.z;
    mix_order();
    b.place = 0;
    b.current = &b.fibers[b.order[0]];
  }
  FOR_TSAN(b.caller_as_seen_by_tsan = __tsan_get_current_fiber();)
  happens_before(&b.begin);
  b.running = true;
  jump(&b.caller_stack, b.current->stack_top, b.current->as_seen_by_tsan);
  b.running = false;
  end_shared();
  leave_emulator();
  FOR_TSAN(end_fibers();)
}

template <class... A, size_t... I>
static void call_with(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*(A*)arguments[I]...);
}
template <class... A>
static void call_as(void* kernel, void** arguments) {
  call_with((void (*)(A...))kernel, arguments, std::index_sequence_for<A...>());
}

// Memory between memory that may not be touched; null if there is none.
static char* memory_for_blocks(size_t bytes) {
  void* found = mmap(nullptr, bytes + 2 * FAR, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED) return nullptr;
  if (!mprotect((char*)found + FAR, bytes, PROT_READ | PROT_WRITE)) return (char*)found + FAR;
  munmap(found, bytes + 2 * FAR);
  return nullptr;
}

// Memory for the blocks that one thread of the CPU runs, one after the other; null if there is none.
static Block* new_block() {
  const size_t own = (sizeof(Block) + 4095) / 4096 * 4096, stacks = (size_t)MOST_THREADS * STACK;
  char* memory = memory_for_blocks(own + FAR + ROOM + FAR + stacks);
  if (!memory) return nullptr;
  Block* made = (Block*)memory;
  made->random = 88172645463325252ull;
  made->room = memory + own + FAR;
  made->shared = made->room + 1024;
  made->stacks = made->room + ROOM + FAR;
  mprotect(memory + own, FAR, PROT_NONE);
  mprotect(made->room + ROOM, FAR, PROT_NONE);
  prepare_for_signals(made);
  return made;
}

#ifdef __SANITIZE_THREAD__
// On a GPU no block waits for another, so their accesses to memory have no order. Here they use the same stacks and the
// same shared memory: let the sanitizer forget what the last block did there.
static void forget_last_block() {
  Block& b = *block;
  char *room = b.room, *stacks = b.stacks;
  uint64_t random = b.random, epoch = b.epoch;
  for (int i = 0; i < MOST_THREADS; i++) b.fibers[i].copies.~vector();
  const std::pair<char*, size_t> parts[] = {{(char*)&b, sizeof b}, {room, ROOM}, {stacks, (size_t)b.threads * STACK}};
  for (auto [place, bytes] : parts) {
    if (!bytes) continue;
    munmap(place, bytes);
    mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  }
  b.room = room;
  b.shared = room + 1024;
  b.stacks = stacks;
  b.random = random;
  b.epoch = epoch;
}
#endif

// Pointers to dynamic shared memory outside of functions are set when one of them, or this, is first used.
static bool yes() { return true; }
static thread_local bool pointers_are_set = yes();

// As cudaLaunchKernel. Returns 0, or 1 with a text in `error`.
template <class... A>
static int launch(void (*kernel)(A...), const Launch& how, void** arguments, char* error, size_t room) {
  dim3 grid(how.grid[0], how.grid[1], how.grid[2]), size(how.size[0], how.size[1], how.size[2]);
  __int128 all = (__int128)grid.x * grid.y * grid.z, many = (__int128)size.x * size.y * size.z;
  if (all < 1 || many < 1 || many > MOST_THREADS || size.z > 64 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535 || how.dynamic_bytes > MOST_SHARED) {
    snprintf(error, room,
             "a GPU has no grid of (%u, %u, %u) blocks of (%u, %u, %u) threads with %zu bytes of shared memory", grid.x,
             grid.y, grid.z, size.x, size.y, size.z, (size_t)how.dynamic_bytes);
    return 1;
  }
  long blocks = all, threads = many;
  int failed = 0;
  Handlers handlers;
  bool large = !how.alone && blocks * threads >= 1 << 15;  // else it takes longer to wake the other cores
#pragma omp parallel for schedule(dynamic) if (large)
  for (long i = 0; i < blocks; i++) {
    if (__atomic_load_n(&failed, __ATOMIC_RELAXED) || is_stopped()) continue;
    enter_emulator();
    if (!block && !(block = new_block())) {
      leave_emulator();
      if (!__atomic_exchange_n(&failed, 1, __ATOMIC_RELAXED))
        snprintf(error, room, "there is no memory for the stacks of a block's threads");
      continue;
    }
    FOR_TSAN(forget_last_block(); (void)*(volatile bool*)&pointers_are_set;)
    block->size = size;
    block->grid = grid;
    block->how = (Order)how.order;
    block->call = call_as<A...>;
    block->kernel = (void*)kernel;
    block->arguments = arguments;
    block->dynamic_bytes = how.dynamic_bytes;
    block->limit = how.limit;
    // For RANDOM, a step without a common divisor with the number of blocks goes to each of them once.
    long n = how.order == DESCENDING ? blocks - 1 - i
             : how.order == RANDOM   ? (long)((i * 2654435761ull + 12345) % blocks)
                                     : i;
    run_block({unsigned(n % grid.x), unsigned(n / grid.x % grid.y), unsigned(n / ((long)grid.x * grid.y))});
    if (block->error && !__atomic_exchange_n(&failed, 1, __ATOMIC_RELAXED)) {
      const Block& b = *block;
      int used = snprintf(error, room, "%s; ", b.error);
      if (b.error_line >= 0) used += snprintf(error + used, room - used, "line %d, ", b.error_line);
      used += snprintf(error + used, room - used, "block (%u, %u, %u)", b.index.x, b.index.y, b.index.z);
      if (b.error_line != -1)
        snprintf(error + used, room - used, ", thread (%u, %u, %u)", b.current->index.x, b.current->index.y,
                 b.current->index.z);
    }
    leave_emulator();
  }
  happens_after(&after_blocks);
  if (is_stopped() && !failed) failed = 1, snprintf(error, room, "stopped by Ctrl-C");
  return failed;
}

}  // namespace emulated
