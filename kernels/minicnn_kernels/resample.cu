// Resampling along one axis: every output is a weighted sum of a few inputs. Equations and legend: resample.py.
// kernels: resample
// registers: 64
//
// What is different from the python row: a thread for each output y[a, o, b]. Neighbouring threads have neighbouring b,
// and so neighbouring inputs, or where no axis follows the resampled one, neighbouring o with inputs close together.

#include "threads.cuh"

const int MANY = 64;  // taps up to which the sum is in T, as in resample.py

template <typename S, typename T>
__device__ inline S sum_of_taps(const T* x, const long long* column, const T* weight, long long k, long long end,
                                long long inner) {
  S sum = 0;
  for (; k < end; k++) sum += S(weight[k]) * x[column[k] * inner];
  return sum;
}

// y (A, OUT, B), x (A, IN, B)
template <typename T>
__global__ void resample(const T* x, const long long* start, const long long* column, const T* weight, T* y,
                         long long count, long long size, long long out, long long inner) {
  long long at = thread_number();
  if (at >= count) return;
  long long b = at % inner, o = at / inner % out, a = at / inner / out;
  x += a * size * inner + b;
  if (start[o + 1] - start[o] > MANY)
    y[at] = sum_of_taps<double>(x, column, weight, start[o], start[o + 1], inner);
  else
    y[at] = sum_of_taps<T>(x, column, weight, start[o], start[o + 1], inner);
}
