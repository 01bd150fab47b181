// The activations relu, tanh and sigmoid. Equations and legend: activations/relu_tanh_sigmoid.py.
// kernels: relu_forward, tanh_forward, sigmoid_forward, relu_backward, tanh_backward, sigmoid_backward
// registers: 48
//
// What is different from the numba row: a thread for each 4 values (device/elementwise.cuh), in the order of memory.
// The exp and tanh are those of CUDA, which are fast for float too.

#include "elementwise.cuh"

template <typename T>
__global__ void relu_forward(const T* x, T* y, long long count) {
  each(x, y, count, [](T v) { return v <= 0 ? T(0) : v; });  // v <= 0 is false for NaN, so NaN stays
}

template <typename T>
__global__ void tanh_forward(const T* x, T* y, long long count) {
  each(x, y, count, [](T v) { return tanh(v); });
}

// 1/(1 + e^-v), and e^v/(1 + e^v) for v < 0: the exponent is never positive, so e^ never overflows.
template <typename T>
__global__ void sigmoid_forward(const T* x, T* y, long long count) {
  each(x, y, count, [](T v) {
    T e = exp(-fabs(v));
    return (v < 0 ? e : T(1)) / (1 + e);
  });
}

template <typename T>
__global__ void relu_backward(const T* gy, const T* y, T* gx, long long count) {
  each(gy, y, gx, count, [](T g, T v) { return v <= 0 ? T(0) : g; });  // a choice: an infinite g times 0 would be NaN
}

template <typename T>
__global__ void tanh_backward(const T* gy, const T* y, T* gx, long long count) {
  each(gy, y, gx, count, [](T g, T v) { return g * (1 - v * v); });
}

template <typename T>
__global__ void sigmoid_backward(const T* gy, const T* y, T* gx, long long count) {
  each(gy, y, gx, count, [](T g, T v) { return g * (1 - v) * v; });
}
