// The shared memory of a block: dynamic memory, and the variables that are declared __shared__.
//
// A declaration asks for the place of its variable (source.py). The first thread of a block that comes to it lays the
// variable out, so a block has what it uses and no more. New memory is full of NaN. Guards lie between the variables:
// what is read there is NaN, and what was written there shows when the block ends.
#pragma once
#include "block.h"

namespace emulated {

static const int GUARD = 512;  // bytes; also NaN, but in no way that a float would be written

static inline void put_guard(char* place) {
  memset(place, 0xfd, GUARD);
  for (int i = 3; i < GUARD; i += 4) place[i] = (char)0xff;
}

static bool is_guard(const char* place) {
  for (int i = 0; i < GUARD; i++)
    if ((unsigned char)place[i] != (i % 4 == 3 ? 0xff : 0xfd)) return false;
  return true;
}

// Before a block starts.
static void begin_shared() {
  Block& b = *block;
  FOR_ASAN(__asan_unpoison_memory_region(b.room, ROOM);)
  b.variables = 0;
  b.shared_bytes = b.dynamic_bytes;
  b.epoch++;
  memset(b.shared, 0xff, b.dynamic_bytes);
  put_guard(b.shared - GUARD);
  put_guard(b.shared + b.dynamic_bytes);
  b.next = b.shared + b.dynamic_bytes + GUARD;
  FOR_ASAN(__asan_poison_memory_region(b.room, b.shared - b.room);
           __asan_poison_memory_region(b.shared + b.dynamic_bytes, b.room + ROOM - b.shared - b.dynamic_bytes);)
}

// Lay out a variable.
static __attribute__((noinline)) void* lay_out(size_t bytes, size_t align, const char* name) {
  enter_emulator();
  Block& b = *block;
  if ((b.shared_bytes += bytes) > b.limit)
    fail_with("%zu bytes of shared memory, with those of %s, are more than the %zu that a block may have",
              b.shared_bytes, name, b.limit);
  // At a multiple of what the type asks for, and no more: a wider access shows if its address is not right by chance.
  char* place = (char*)(((uintptr_t)b.next + 2 * align - 1) / (2 * align) * (2 * align) + align);
  FOR_ASAN(__asan_unpoison_memory_region(b.next, place + bytes + GUARD - b.next);)
  if (place + bytes + GUARD > b.room + ROOM || b.variables == MOST_VARIABLES)
    fail("a block has too many variables in shared memory", -1);
  memset(place, 0xff, bytes);
  put_guard(place + bytes);
  FOR_ASAN(__asan_poison_memory_region(b.next, place - b.next); __asan_poison_memory_region(place + bytes, GUARD);)
  b.variable[b.variables++] = {place, bytes, name};
  b.next = place + bytes + GUARD;
  leave_emulator();
  return place;
}

// One declaration in one function, or in one instance of a template.
struct Variable {
  uint64_t epoch;  // the block for which it was laid out
  void* where;

  template <class T>
  __attribute__((no_sanitize("thread"))) T& place(size_t align, const char* name) {
    if (epoch != block->epoch) {
      where = lay_out(sizeof(T), align > alignof(T) ? align : alignof(T), name);
      epoch = block->epoch;
    }
    return *(T*)where;
  }
};

// Dynamic shared memory.
template <class T>
static inline T* dynamic(size_t = 0) {
  return (T*)block->shared;
}

// When all threads have left the kernel: has one written outside of a variable?
static void end_shared() {
  Block& b = *block;
  FOR_ASAN(__asan_unpoison_memory_region(b.room, ROOM);)
  if (b.error) return;
  const char* name = nullptr;
  for (int i = b.variables - 1; i >= 0; i--)
    if (!is_guard(b.variable[i].place + b.variable[i].bytes)) name = b.variable[i].name;
  if (!is_guard(b.shared + b.dynamic_bytes) || !is_guard(b.shared - GUARD)) name = "dynamic shared memory";
  if (!name) return;
  snprintf(b.text, sizeof b.text, "wrote outside of %s in shared memory", name);
  b.error = b.text;
  b.error_line = -1;
}

// __launch_bounds__
static inline void at_most(int threads) {
  if (block->threads > threads)
    fail_with(
        "the kernel has __launch_"
        "bounds__(%zu), and the launch has %zu threads per block",
        (size_t)threads, (size_t)block->threads);
}

}  // namespace emulated
