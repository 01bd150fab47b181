// The values along an axis: a fibre for a warp, for a thread, or for the threads of one block or of several.
//
// Memory is (outer, K, inner) around the axis: value k of a fibre is at start + k * inner. If inner is 1, a fibre is a
// run of memory. Threads that are side by side read values that are side by side, which come from memory together.
#pragma once
#include "group_sums.cuh"

// What a thread has of a fibre: the values k = first, first + step, first + 2 step ... before `end`.
struct Piece {
  long long fibre, start;  // the fibre's number, -1 for a thread that has none; and where its first value is
  long long first, end, step, inner;

  // f(at, k) for the thread's values: the place in memory, and the number in the fibre.
  template <typename F>
  __device__ void each(F f) const {
    for (long long k = first; k < end; k += step) f(start + k * inner, k);
  }
};

// A fibre for a warp, if `lanes` is 32, or for a thread, if it is 1.
__device__ inline Piece whole_fibre(long long fibres, long long count, long long inner, int lanes) {
  long long fibre = thread_number() / lanes, start = fibre / inner * count * inner + fibre % inner;
  return {fibre < fibres ? fibre : -1, start, threadIdx.x % lanes, count, lanes, inner};
}

// A part of a fibre for the threads of a block: a block has `width` fibres side by side, and the threads t, t + width,
// t + 2 width ... have one of them. Blocks (tiles of fibres, parts) are what `cut` of cuda.py says.
__device__ inline Piece part_of_fibre(long long count, long long inner, int width) {
  int t = threadIdx.x, helpers = BLOCK / width;
  long long tiles = (inner + width - 1) / width, outer = blockIdx.x / tiles;
  long long i = blockIdx.x % tiles * width + t % width;
  long long length = (count + gridDim.y - 1) / gridDim.y, begin = length * blockIdx.y;
  bool there = i < inner && t / width < helpers;
  long long end = there ? min(begin + length, count) : 0LL;
  return {there ? outer * inner + i : -1, outer * count * inner + i, begin + t / width, end, helpers, inner};
}

// The number of the thread among those that have the same fibre in a block.
__device__ inline int helper(int width) { return threadIdx.x / width; }

// ------------------------------------------------------------------------------- the sum of e^(x - m), m the largest x

// The largest value of a thread, -Inf if it has none. A NaN is passed over: it makes the sum NaN.
template <typename T>
__device__ inline T own_largest(const T* x, const Piece& own) {
  T largest = -INFINITY;
  own.each([&](long long at, long long) { largest = x[at] > largest ? x[at] : largest; });
  return largest;
}

// The thread's sum of e^(x - m). If m is -Inf, all its values are: the sum is 0, not NaN, since other parts may have
// larger ones. If none has, 1/sum is Inf, and e^(x - m) is NaN, as it must be.
template <typename T>
__device__ inline double own_sum(const T* x, const Piece& own, T largest) {
  double total = 0;
  if (largest == -INFINITY) largest = 0;
  own.each([&](long long at, long long) { total += exp(x[at] - largest); });
  return total;
}

// Both for a part of a fibre, the same in all its threads in the block.
template <typename T>
__device__ inline void part_sum(const T* x, const Piece& own, int width, T& largest, double& total) {
  largest = group_result(own_largest(x, own), width, 1, [](T a, T b) { return b > a ? b : a; });
  double unused = 0;
  total = own_sum(x, own, largest);
  group_sums(total, unused, width, 1);
}

// Both for a fibre, from those of its parts, which are numbers 0 and 1 of the `each` numbers of a part.
template <typename T>
__device__ inline void sum_of_parts(const double* partial, const Piece& own, int width, int each, T& largest,
                                    double& total) {
  int parts = own.fibre < 0 ? 0 : gridDim.y;
  double most = -INFINITY, unused = 0;
  partial += own.fibre * gridDim.y * each;
  for (int part = helper(width); part < parts; part += own.step) most = max(most, partial[part * each]);
  most = group_result(most, width, 1, [](double a, double b) { return b > a ? b : a; });
  total = 0;
  for (int part = helper(width); part < parts; part += own.step) {
    double sum = partial[part * each + 1];
    total += sum == 0 ? 0 : sum * exp(partial[part * each] - most);
  }
  group_sums(total, unused, width, 1);
  largest = most;
}
