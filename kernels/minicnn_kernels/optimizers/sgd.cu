// The update of SGD, with or without momentum. Equations and legend: optimizers/sgd.py.
// kernels: sgd
// registers: 40
//
// What is different from the numba row: a block for each piece of 1024 elements of a tensor, instead of a share for
// each thread of the CPU. Which tensor, and which of its pieces, is in tables; where the tensors are, too (tables.py).

#include "elementwise.cuh"

template <typename T>
__global__ void sgd(const int* tensors, const int* pieces, const long long* sizes, T* const* xs,
                    const T* const* gradients, T* const* buffers, double lr, double sign, double weight_decay,
                    double momentum, double gain, bool nesterov) {
  int k = tensors[blockIdx.x];
  long long first = (long long)pieces[blockIdx.x] * blockDim.x * EACH + threadIdx.x;
  T* x = xs[k];
  const T* g = gradients[k];
  T* b = buffers ? buffers[k] : nullptr;
  each_place(first, sizes[k], [=](long long i) {
    T d = T(sign) * g[i];
    if (weight_decay != 0) d += T(weight_decay) * x[i];  // with 0, an infinite x must not give a NaN
    if (b) {
      T mean = T(momentum) * b[i] + T(gain) * d;
      b[i] = mean;
      d = nesterov ? d + T(momentum) * mean : mean;
    }
    x[i] -= T(lr) * d;
  });
}
