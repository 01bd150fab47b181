// The update of Adam, with or without amsgrad. Equations and legend: optimizers/adam.py.
// kernels: adam
// registers: 48
//
// What is different from the numba row: a block for each piece of 1024 elements of a tensor, as in sgd.cu.

#include "elementwise.cuh"

template <typename T>
__global__ void adam(const int* tensors, const int* pieces, const long long* sizes, T* const* xs,
                     const T* const* gradients, T* const* ms, T* const* vs, T* const* ws, double step_size,
                     double one_minus_beta1, double beta2, double one_minus_beta2, double bias_correction, double eps,
                     double sign, double weight_decay, double shrink) {
  int k = tensors[blockIdx.x];
  long long first = (long long)pieces[blockIdx.x] * blockDim.x * EACH + threadIdx.x;
  T *x = xs[k], *m = ms[k], *v = vs[k], *w = ws ? ws[k] : nullptr;
  const T* g = gradients[k];
  each_place(first, sizes[k], [=](long long i) {
    T d = T(sign) * g[i];
    if (weight_decay != 0) d += T(weight_decay) * x[i];  // with 0, an infinite x must not give a NaN
    T mean = m[i] + T(one_minus_beta1) * (d - m[i]);
    T square = v[i] * T(beta2) + T(one_minus_beta2) * d * d;
    m[i] = mean;
    v[i] = square;
    if (w) {
      T before = w[i];
      square = before >= square || before != before ? before : square;  // a NaN stays
      w[i] = square;
    }
    x[i] = T(shrink) * x[i] - mean / (sqrt(square) / T(bias_correction) + T(eps)) * T(step_size);
  });
}
