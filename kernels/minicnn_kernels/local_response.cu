// Local response normalisation. Equations and legend: local_response.py.
// kernels: forward, backward
// registers: 64
//
// What is different from the python row: a thread for each value. It reads the channels around its own, which lie
// `size` values apart: 1 in channels-last memory, the pixels of an image in NCHW memory. Neighbouring threads need
// nearly the same values, which are then still in the cache. In the backward pass it computes the powers of d around
// its own again, which takes less time than to write them to memory and read them.

#include "threads.cuh"

// d^-b; the usual exponent 3/4 by square roots, which take much less time.
template <typename T>
__device__ inline T power_minus(T d, T b) {
  if (b != T(0.75)) return pow(d, -b);
  T root = sqrt(d);
  return 1 / (root * sqrt(root));
}

template <typename T>
__global__ void forward(const T* x, T* y, T* d, long long values, long long channels, long long size, long long before,
                        long long after, double a, double b, double k) {
  long long at = thread_number();
  if (at >= values) return;
  long long c = at / size % channels, end = min(c + after + 1, channels);
  T sum = 0;
  for (long long j = max(c - before, 0LL); j < end; j++) {
    T near = x[at + (j - c) * size];
    sum += near * near;
  }
  T own = T(k) + T(a) * sum;
  d[at] = own;
  y[at] = x[at] * power_minus(own, T(b));
}

// x[c] is in the window of each channel from c - after to c + before.
template <typename T>
__global__ void backward(const T* gy, const T* x, const T* d, T* gx, long long values, long long channels,
                         long long size, long long before, long long after, double a, double b) {
  long long at = thread_number();
  if (at >= values) return;
  long long c = at / size % channels, end = min(c + before + 1, channels);
  T sum = 0;
  for (long long j = max(c - after, 0LL); j < end; j++) {
    long long near = at + (j - c) * size;
    sum += gy[near] * x[near] * power_minus(d[near], T(b)) / d[near];
  }
  gx[at] = gy[at] * power_minus(d[at], T(b)) - T(2 * a * b) * x[at] * sum;
}
