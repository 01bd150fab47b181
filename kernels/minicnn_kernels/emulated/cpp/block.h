// The threads of one block, on one thread of the CPU.
//
// Each CUDA thread is a fiber: a stack of its own, and a place in the code. A fiber runs until it has to wait for
// others at a barrier; then the next one goes on. So nothing happens at the same time, and what a kernel does can be
// repeated. The order of the fibers is a choice: a kernel whose result depends on it has a race.
//
// Blocks do not wait for each other, so they are spread over the CPU's cores by OpenMP.
#pragma once
#include <math.h>  // of C++: exp of a float is a float, also outside of std
#include <stdlib.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "sanitizers.h"

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace emulated {

enum Order { ASCENDING, DESCENDING, RANDOM };

const int MOST_THREADS = 1024, STACK = 128 << 10;  // per block; bytes per thread
const int MOST_SHARED = 227 << 10;                 // bytes of shared memory per block, on sm_90
const int MOST_VARIABLES = 256, ROOM = 512 << 10;  // in shared memory; bytes for them and the guards between them
const size_t FAR = 64 << 20;                       // bytes around memory that may not be touched
const int WITHOUT_LINE = -2;                       // of an error whose thread is known, and whose line is not

struct AsyncCopy {  // see copies_and_tensor_cores.h
  void* to;
  const void* from;
  int bytes, valid, group;
};

struct Fiber {  // a CUDA thread
  void* stack_top;
  uint3 index;
  int number;  // its place in the block: 0, 1, ...; 32 in a row are a warp
  int line;    // of the kernel, where it waits
  bool done;
  const uint64_t* waits_for;  // it can go on when this is no longer ...
  uint64_t while_it_is;       // ... this
  uint32_t in[12], out[4];    // what a lane gives to its warp, and gets
  std::vector<AsyncCopy> copies;
  int groups;  // of asynchronous copies so far
  void* as_seen_by_tsan;
};

struct Warp {  // who has arrived at a warp-wide operation; one entry for each set of lanes, by its lowest lane
  uint64_t round[32], memory[2];
  uint32_t arrived[32], mask[32];
  int line[32];
};

struct Shared {  // a variable in shared memory
  char* place;
  size_t bytes;
  const char* name;
};

struct Launch {  // what Python says
  unsigned grid[3], size[3];
  int order, alone;               // alone: on this thread of the CPU, without OpenMP
  uint64_t dynamic_bytes, limit;  // of shared memory; of static and dynamic shared memory together
};

struct Block {
  Fiber fibers[MOST_THREADS];
  Warp warps[MOST_THREADS / 32];
  int order[MOST_THREADS];  // of the fibers
  Fiber* current;
  int place, threads, done, arrived;  // place: of the current fiber in `order`
  Order how;
  uint64_t round, memory[2], random;  // round: of __syncthreads
  uint64_t votes[2];                  // of __syncthreads_count
  uint64_t begin;                     // for the thread sanitizer: what was before all fibers
  void *caller_stack, *caller_as_seen_by_tsan;
  char *stacks, *room, *shared, *next;  // room: for shared memory; shared: dynamic shared memory; next: what is free
  size_t dynamic_bytes, shared_bytes, limit;
  uint64_t epoch;  // how many blocks have been run
  Shared variable[MOST_VARIABLES];
  int variables;
  volatile bool running, allocates;  // its fibers run; one of them is in the memory manager, and may not be stopped
  uint64_t thread;                   // of the CPU
  Block* other;                      // of another thread of the CPU
  char text[256];
  const char* error;
  int error_line;
  uint3 index;
  dim3 size, grid;
  void (*call)(void*, void**);
  void* kernel;
  void** arguments;
};

static __thread Block* block = nullptr;
static uint64_t after_blocks;  // for the thread sanitizer: what comes after all of them

// ----------------------------------------------------------------------------------------------------------- fibers

// Saves the registers that a function must preserve and the stack pointer, and takes those of another fiber.
extern "C" void emulated_switch(void** save, void* load);
extern "C" void emulated_leave();
asm(".text\n"
    ".local emulated_switch\n"
    ".type emulated_switch,@function\n"
    "emulated_switch:\n"
    "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp,(%rdi)\n"
    "  mov %rsi,%rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
    "  ret\n"
    ".size emulated_switch,.-emulated_switch\n"
    ".local emulated_leave\n"
    ".type emulated_leave,@function\n"
    "emulated_leave:\n"  // the second half, with the stack pointer in rsi
    "  mov %rsi,%rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
    "  ret\n"
    ".size emulated_leave,.-emulated_leave\n");

static inline void jump(void** save, void* stack, void* as_seen_by_tsan) {
  (void)as_seen_by_tsan;
  FOR_TSAN(__tsan_switch_to_fiber(as_seen_by_tsan, 1);)
  emulated_switch(save, stack);
}

// End the block with an error; its fibers are not continued.
[[noreturn]] static void fail(const char* error, int line) {
  block->error = error;
  block->error_line = line;
  void* nowhere;
  jump(&nowhere, block->caller_stack, block->caller_as_seen_by_tsan);
  __builtin_unreachable();
}

// The same, with numbers and a name in the text.
template <class... A>
[[noreturn]] static void fail_with(const char* format, A... values) {
  snprintf(block->text, sizeof block->text, format, values...);
  fail(block->text, -1);
}

// Choose the next fiber that can go on; null if all are done.
static Fiber* next_fiber() {
  Block& b = *block;
  for (int step = 0, place = b.place; step < b.threads; step++) {
    place = place + 1 == b.threads ? 0 : place + 1;
    Fiber* fiber = &b.fibers[b.order[place]];
    if (!fiber->done && !(fiber->waits_for && *fiber->waits_for == fiber->while_it_is)) {
      b.place = place;
      return b.current = fiber;
    }
  }
  if (b.done == b.threads) return nullptr;
  int line = 0;
  for (int i = 0; i < b.threads; i++)
    if (!b.fibers[i].done) line = b.fibers[i].line;
  fail("deadlock: no thread can go on", line);
}

// Wait until *round has changed.
static __attribute__((noinline)) void wait_while(const uint64_t* round) {
  Fiber* self = block->current;
  self->waits_for = round;
  self->while_it_is = *round;
  Fiber* other = next_fiber();
  if (other != self) jump(&self->stack_top, other->stack_top, other->as_seen_by_tsan);
  self->waits_for = nullptr;
}

static void mix_order() {
  Block& b = *block;
  for (int i = b.threads - 1; i > 0; i--) {
    b.random ^= b.random << 13, b.random ^= b.random >> 7, b.random ^= b.random << 17;
    std::swap(b.order[i], b.order[b.random % (i + 1)]);
  }
  for (int i = 0; i < b.threads; i++)
    if (&b.fibers[b.order[i]] == b.current) b.place = i;
}

// All that are not done are at the block's barrier: let them go on.
static void open_barrier() {
  Block& b = *block;
  int line = -1;
  for (int i = 0; i < b.threads; i++) {
    if (b.fibers[i].done) continue;
    if (line < 0) line = b.fibers[i].line;
    if (b.fibers[i].line != line) fail("threads wait at different __syncthreads", b.fibers[i].line);
  }
  b.arrived = 0;
  b.round++;
  b.votes[b.round & 1] = 0;  // all have read what was counted there
  if (b.how == RANDOM) mix_order();
}

// The life of a fiber.
static void live() {
  happens_after(&block->begin);
  block->call(block->kernel, block->arguments);
  happens_before(&after_blocks);
  enter_emulator();
  Block& b = *block;
  Fiber* self = b.current;
  for (int set = 0; set < 32; set++) {
    Warp& warp = b.warps[self->number / 32];
    if (warp.arrived[set] && (warp.mask[set] >> self->number % 32 & 1))
      fail("a thread has left the kernel, and its warp waits for it", warp.line[set]);
  }
  self->done = true;
  b.done++;
  if (b.arrived && b.arrived == b.threads - b.done) open_barrier();
  Fiber* other = next_fiber();
  leave_emulator();
  void* nowhere;
  jump(&nowhere, other ? other->stack_top : b.caller_stack, other ? other->as_seen_by_tsan : b.caller_as_seen_by_tsan);
  __builtin_unreachable();
}

}  // namespace emulated
