// Unpooling: values put to places of an image, and gradients taken from there.
// Equations and legend: pooling/__init__.py.
// kernels: mark<int>, put, take
// registers: 32
//
// What is different from the python row: if several values have the same place, the last one stays there, and threads
// come in any order. So first each value writes its number to its place (`mark`), where the largest number stays; that
// does not depend on the order. Then each place fetches the value of that number (`put`). `take` has a thread for each
// value.

#include "windows.cuh"

// Where pixel p*W + q of image and channel (n, c) is in dense memory.
__device__ inline long long pixel(const Place& e, int index, const Pool& g, bool channels_last) {
  if (channels_last) return ((long long)e.n * g.h * g.w + index) * g.c + e.c;
  return ((long long)e.n * g.c + e.c) * g.h * g.w + index;
}

// last: int32 of the image's size, -1 everywhere. A template, as all kernels are.
template <typename Index>
__global__ void mark(const Index* index, int* last, bool channels_last, Pool g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.oh * g.ow || index[at] < 0) return;
  Place e = place(at, g.c, g.oh, g.ow, channels_last);
  atomicMax(&last[pixel(e, index[at], g, channels_last)], e.i * g.ow + e.j);
}

template <typename T>
__global__ void put(const T* x, Strides xs, const int* last, T* y, bool channels_last, Pool g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.h * g.w) return;
  Place e = place(at, g.c, g.h, g.w, channels_last);
  int number = last[at];
  y[at] = number < 0 ? T(0) : x[e.n * xs.n + e.c * xs.c + number / g.ow * xs.h + number % g.ow * xs.w];
}

template <typename T>
__global__ void take(const T* gy, const int* index, T* gx, bool channels_last, Pool g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.oh * g.ow) return;
  Place e = place(at, g.c, g.oh, g.ow, channels_last);
  gx[at] = gy[pixel(e, index[at], g, channels_last)];
}
