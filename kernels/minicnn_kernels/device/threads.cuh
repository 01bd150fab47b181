// What every kernel needs: its number among all threads, and sums over a warp or a block.
#pragma once

#ifdef __CUDACC_RTC__  // NVRTC has no headers of the C++ library
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif

const unsigned ALL_LANES = 0xffffffffu;

// The number of the thread among those of all blocks: 0, 1, 2 ...
__device__ inline long long thread_number() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

// The sum over the 32 lanes of a warp, the same in each. Always in the same order, so that it has the same bits.
template <typename T>
__device__ inline T warp_sum(T value) {
  for (int step = 16; step; step /= 2) value += __shfl_xor_sync(ALL_LANES, value, step);
  return value;
}

// The largest value of a warp; NaN if there is one.
template <typename T>
__device__ inline T warp_max(T value) {
  for (int step = 16; step; step /= 2) {
    T other = __shfl_xor_sync(ALL_LANES, value, step);
    if (other > value || other != other) value = other;
  }
  return value;
}

// A power of two, at most 1/2 and not above |scale| unless that is below 2^-20. If a result is scale (a - b - c), where
// a, b and c may be near the largest float, it is computed as  scale / damp (damp a - damp b - damp c).
template <typename T>
__device__ inline T damping(T scale) {
  int exponent;
  frexp(scale, &exponent);
  return ldexp(T(1), max(-20, min(exponent - 1, -1)));
}
