// Arithmetic of two arrays. Equations and legend: arithmetic.py.
// kernels: add, subtract, multiply
// registers: 40
//
// What is different from the numba row: a thread for each 4 values (device/elementwise.cuh). y may be a or b.

#include "elementwise.cuh"

template <typename T>
__global__ void add(const T* a, const T* b, T* y, long long count) {
  each(a, b, y, count, [](T u, T v) { return u + v; });
}

template <typename T>
__global__ void subtract(const T* a, const T* b, T* y, long long count) {
  each(a, b, y, count, [](T u, T v) { return u - v; });
}

template <typename T>
__global__ void multiply(const T* a, const T* b, T* y, long long count) {
  each(a, b, y, count, [](T u, T v) { return u * v; });
}
