// Loops over elements, for kernels that compute each value of y from the values at the same place of other arrays.
//
// A thread computes 4 values, and first reads what it needs for all 4: so much has to be on its way from memory at the
// same time to keep a large GPU busy. The 4 places are a block apart. So at each read, neighbouring threads read
// neighbouring values, which come from memory together.
#pragma once
#include "threads.cuh"

const int EACH = 4;  // values of a thread; `launch_each` in cuda.py starts as many threads as this needs

// The first place of this thread; its others are blockDim.x, 2 blockDim.x ... further on.
__device__ inline long long first_place() { return (long long)blockIdx.x * blockDim.x * EACH + threadIdx.x; }

// f(i) for the places of this thread that are below count.
template <typename F>
__device__ inline void each_place(long long first, long long count, F f) {
#pragma unroll
  for (int k = 0; k < EACH; k++)
    if (first + k * blockDim.x < count) f(first + k * blockDim.x);
}

// y[i] = f(x[i]) for all i below count; y may be x.
template <typename T, typename F>
__device__ inline void each(const T* x, T* y, long long count, F f) {
  long long first = first_place();
  T values[EACH];
#pragma unroll
  for (int k = 0; k < EACH; k++)
    if (first + k * blockDim.x < count) values[k] = x[first + k * blockDim.x];
#pragma unroll
  for (int k = 0; k < EACH; k++)
    if (first + k * blockDim.x < count) y[first + k * blockDim.x] = f(values[k]);
}

// y[i] = f(a[i], b[i]); y may be a or b.
template <typename T, typename F>
__device__ inline void each(const T* a, const T* b, T* y, long long count, F f) {
  long long first = first_place();
  T values[EACH], others[EACH];
#pragma unroll
  for (int k = 0; k < EACH; k++)
    if (first + k * blockDim.x < count) {
      values[k] = a[first + k * blockDim.x];
      others[k] = b[first + k * blockDim.x];
    }
#pragma unroll
  for (int k = 0; k < EACH; k++)
    if (first + k * blockDim.x < count) y[first + k * blockDim.x] = f(values[k], others[k]);
}
