// What the threads of a block, or of a warp, do together: barriers, shuffles, votes; and integer atomics.
//
// At an operation of a warp, each lane puts down its operand and waits. The last lane that arrives computes the results
// of all. The line of the kernel tells apart two operations that lanes must not mix.
#pragma once
#include "block.h"

namespace emulated {

// __syncthreads
static __attribute__((noinline)) void wait_for_block(int line) {
  enter_emulator();
  Block& b = *block;
  b.current->line = line;
  uint64_t* memory = &b.memory[b.round & 1];  // two in turn, or a fast thread would order those that come later
  happens_before(memory);
  if (++b.arrived == b.threads - b.done)
    open_barrier();
  else
    wait_while(&b.round);
  happens_after(memory);
  leave_emulator();
}

// __syncthreads_count: in how many threads `vote` is true. There are two counters in turn; see `open_barrier`.
static inline int count_in_block(bool vote, int line) {
  enter_emulator();
  Block& b = *block;
  uint64_t* votes = &b.votes[b.round & 1];
  *votes += vote;
  leave_emulator();
  wait_for_block(line);
  return (int)*(volatile uint64_t*)votes;
}

// Wait for the lanes of `mask`; the last to arrive calls `last` with the warp's first fiber. Only __syncwarp also
// orders accesses to memory.
template <class F>
static inline void with_warp(uint32_t mask, int line, F last, bool orders_memory = false) {
  enter_emulator();
  Block& b = *block;
  Fiber* self = b.current;
  Warp& warp = b.warps[self->number / 32];
  int set = mask ? __builtin_ctz(mask) : 0;
  self->line = line;
  if (!(mask >> self->number % 32 & 1)) fail("a thread is not in the mask of its own warp operation", line);
  int first = self->number & ~31, there = std::min(32, b.threads - first);
  if (there < 32 && mask >> there && mask != 0xffffffffu)
    fail("the mask names lanes that the block does not have", line);
  if (there < 32) mask &= (1u << there) - 1;  // a full mask in a block that ends within the warp
  if (!warp.arrived[set]) {
    warp.mask[set] = mask;
    warp.line[set] = line;
  } else if (warp.mask[set] != mask || warp.line[set] != line) {
    fail("threads of a warp are at different warp operations, or with different masks", line);
  }
  for (int lane = 0; lane < there; lane++)
    if ((mask >> lane & 1) && b.fibers[first + lane].done)
      fail("the mask names a thread that has left the kernel", line);
  uint64_t* memory = &warp.memory[warp.round[set] & 1];
  if (orders_memory) happens_before(memory);
  if (++warp.arrived[set] == (uint32_t)__builtin_popcount(mask)) {
    warp.arrived[set] = 0;
    last(&b.fibers[first]);
    warp.round[set]++;
  } else {
    wait_while(&warp.round[set]);
  }
  if (orders_memory) happens_after(memory);
  leave_emulator();
}

enum Source { LANE, XOR, UP, DOWN };

// The value of another lane. A lane outside `mask` gives NaN: on a GPU it would be undefined.
template <class T>
static inline T shuffle(uint32_t mask, T value, int argument, int width, Source source, int line) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  Fiber* self = block->current;
  memcpy(self->in, &value, sizeof(T));
  self->in[2] = argument;
  with_warp(mask, line, [=](Fiber* lanes) {
    for (int i = 0; i < 32; i++) {
      if (!(mask >> i & 1)) continue;
      int a = lanes[i].in[2], first = i & ~(width - 1);
      int from = source == LANE ? first + (a & (width - 1)) : source == XOR ? i ^ a : source == UP ? i - a : i + a;
      if (from < first || from >= first + width) from = i;
      for (int word = 0; word < 2; word++) lanes[i].out[word] = mask >> from & 1 ? lanes[from].in[word] : 0xffffffffu;
    }
  });
  memcpy(&value, self->out, sizeof(T));
  return value;
}

// The lanes of `mask` for which `vote` is true, as bits.
static inline unsigned ballot(uint32_t mask, bool vote, int line, bool orders_memory = false) {
  Fiber* self = block->current;
  self->in[0] = vote;
  with_warp(
      mask, line,
      [=](Fiber* lanes) {
        unsigned votes = 0;
        for (int i = 0; i < 32; i++)
          if (mask >> i & 1) votes |= lanes[i].in[0] << i;
        for (int i = 0; i < 32; i++)
          if (mask >> i & 1) lanes[i].out[0] = votes;
      },
      orders_memory);
  return self->out[0];
}

template <class T, class F>
static inline T atomically(T* place, F change) {
  static_assert(std::is_integral<T>::value,
                "floats that are added atomically come in any order, and the sum depends on it");
  T before = __atomic_load_n(place, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(place, &before, change(before), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return before;
}

}  // namespace emulated

#define __syncthreads() emulated::wait_for_block(__LINE__)
#define __syncthreads_count(vote) emulated::count_in_block(vote, __LINE__)
#define __syncthreads_and(vote) (emulated::count_in_block(!(vote), __LINE__) == 0)
#define __syncthreads_or(vote) (emulated::count_in_block(vote, __LINE__) != 0)
#define __syncwarp(...) ((void)emulated::ballot(emulated::mask_or_all(__VA_ARGS__), true, __LINE__, true))
#define __shfl_sync(...) emulated::shuffled(emulated::LANE, __LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) emulated::shuffled(emulated::XOR, __LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) emulated::shuffled(emulated::UP, __LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) emulated::shuffled(emulated::DOWN, __LINE__, __VA_ARGS__)
#define __ballot_sync(mask, vote) emulated::ballot(mask, vote, __LINE__)
#define __any_sync(mask, vote) (emulated::ballot(mask, vote, __LINE__) != 0)
#define __all_sync(mask, vote) (emulated::ballot(mask, !(vote), __LINE__) == 0)

namespace emulated {
static inline uint32_t mask_or_all(uint32_t mask = 0xffffffffu) { return mask; }
template <class T>
static inline T shuffled(Source source, int line, uint32_t mask, T value, int argument, int width = 32) {
  return shuffle(mask, value, argument, width, source, line);
}
}  // namespace emulated

#define DEFINE_ATOMIC(name, ...)                                                                     \
  template <class T>                                                                                 \
  static inline T name(T* place, std::common_type_t<T> value) { /* of T, whatever the argument is */ \
    return emulated::atomically(place, [=](T before) { return T(__VA_ARGS__); });                    \
  }
DEFINE_ATOMIC(atomicAdd, before + value)
DEFINE_ATOMIC(atomicSub, before - value)
DEFINE_ATOMIC(atomicMax, std::max(before, value))
DEFINE_ATOMIC(atomicMin, std::min(before, value))
DEFINE_ATOMIC(atomicAnd, before& value)
DEFINE_ATOMIC(atomicOr, before | value)
DEFINE_ATOMIC(atomicXor, before ^ value)
DEFINE_ATOMIC(atomicExch, value)
DEFINE_ATOMIC(atomicInc, before >= value ? 0 : before + 1)
DEFINE_ATOMIC(atomicDec, before == 0 || before > value ? value : before - 1)
#undef DEFINE_ATOMIC
template <class T>
static inline T atomicCAS(T* place, std::common_type_t<T> expected, std::common_type_t<T> value) {
  return emulated::atomically(place, [=](T before) { return before == expected ? value : before; });
}
