// The activations by name. Equations and legend: activations/__init__.py.
// kernels: forward, backward
// registers: 64
// functions of: activations.scalars
//
// What is different from the numba row: a thread for each 4 values (device/elementwise.cuh), and arithmetic in T. The
// functions `scalars::value` and `scalars::gradient`, and all that they call, are not written here: they are translated
// from activations/scalars.py (translation.py). `op` is the same for all threads, so they all take the same branch.

#include "elementwise.cuh"

template <typename T>
__global__ void forward(int op, const T* x, T* y, long long count, double a, double b, double c) {
  each(x, y, count, [=](T v) { return scalars::value<T>(op, v, a, b, c); });
}

template <typename T>
__global__ void backward(int op, const T* gy, const T* x, T* gx, long long count, double a, double b, double c) {
  each(gy, x, gx, count, [=](T g, T v) { return scalars::gradient<T>(op, g, v, a, b, c); });
}
