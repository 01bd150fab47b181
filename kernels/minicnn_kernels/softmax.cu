// Softmax along an axis, and its logarithm. Equations and legend: softmax.py.
// kernels: forward, forward_together, forward_parts, forward_rest
// kernels: backward, backward_together, backward_parts, backward_rest
// registers: 64
//
// What is different from the numba row: threads instead of loops over fibres. Memory is (outer, K, inner) around the
// axis. If inner is 1, a fibre is a run of memory, and a warp takes it: lane i the values i, i + 32, i + 64 ..., which
// come from memory together; then the lanes add up what they found. Else a thread takes a fibre, and the neighbouring
// threads take the neighbouring fibres, whose values come from memory together. `lanes` is 32 or 1. Sums are double.
//
// A few long fibres would leave most of a GPU idle. They have a block each, or each a part of several blocks;
// softmax.py says when. See the kernels _together, _parts and _rest.

#include "fibres.cuh"

template <typename T>
__device__ inline void write(const T* x, T* y, const Piece& own, T largest, double total, bool logarithm) {
  T rest = logarithm ? log(total) : 1 / total;
  own.each([&](long long at, long long) {
    T shifted = x[at] - largest;
    y[at] = logarithm ? shifted - rest : exp(shifted) * rest;
  });
}

template <typename T>
__global__ void forward(const T* x, T* y, long long fibres, long long count, long long inner, int lanes,
                        bool logarithm) {
  Piece own = whole_fibre(fibres, count, inner, lanes);
  if (own.fibre < 0) return;  // with 32 lanes, a whole warp leaves
  T largest = own_largest(x, own);
  if (lanes == 32) largest = warp_max(largest);
  double total = own_sum(x, own, largest);
  if (lanes == 32) total = warp_sum(total);
  write(x, y, own, largest, total, logarithm);
}

// The thread's part of the sum in gx: of gy y, or for the logarithm of gy.
template <typename T>
__device__ inline double own_product(const T* gy, const T* y, const Piece& own, bool logarithm) {
  double total = 0;
  own.each([&](long long at, long long) { total += logarithm ? gy[at] : gy[at] * y[at]; });
  return total;
}

// The sum of many gy may be too large for float where gx is not. So it is divided by K, and e^y multiplied by it; `fma`
// rounds only the result. And two gy near the largest float may be further apart than float reaches, but not gy y.
template <typename T>
__device__ inline void write_gradient(const T* gy, const T* y, T* gx, const Piece& own, long long count, double total,
                                      bool logarithm) {
  T many = count, sum = logarithm ? total / count : total;
  own.each([&](long long at, long long) {
    T up = gy[at], value = y[at];
    gx[at] = logarithm ? fma(-many * exp(value), sum, up) : value * up - value * sum;
  });
}

template <typename T>
__global__ void backward(const T* gy, const T* y, T* gx, long long fibres, long long count, long long inner, int lanes,
                         bool logarithm) {
  Piece own = whole_fibre(fibres, count, inner, lanes);
  if (own.fibre < 0) return;
  double total = own_product(gy, y, own, logarithm);
  if (lanes == 32) total = warp_sum(total);
  write_gradient(gy, y, gx, own, count, total, logarithm);
}

// ------------------------------------------------------------------------------------------------- a block for a fibre

// What is different from `forward`: the threads of a block have one fibre, or `width` fibres side by side.
template <typename T>
__global__ void forward_together(const T* x, T* y, long long count, long long inner, int width, bool logarithm) {
  Piece own = part_of_fibre(count, inner, width);
  T largest;
  double total;
  part_sum(x, own, width, largest, total);
  write(x, y, own, largest, total, logarithm);
}

template <typename T>
__global__ void backward_together(const T* gy, const T* y, T* gx, long long count, long long inner, int width,
                                  bool logarithm) {
  Piece own = part_of_fibre(count, inner, width);
  double total = own_product(gy, y, own, logarithm), unused = 0;
  group_sums(total, unused, width, 1);
  write_gradient(gy, y, gx, own, count, total, logarithm);
}

// --------------------------------------------------------------------------------------------- several blocks for a
// fibre

// What is different from `forward_together`: two kernels, since blocks cannot wait for each other. The first leaves
// what each part has, its largest value m and its sum s of e^(x - m). The second begins with the sum over the parts, of
// s e^(m - M) with M the largest m, which each block computes for itself, in the same order.
template <typename T>
__global__ void forward_parts(const T* x, double* partial, long long count, long long inner, int width) {
  Piece own = part_of_fibre(count, inner, width);
  T largest;
  double total;
  part_sum(x, own, width, largest, total);
  if (own.fibre < 0 || helper(width)) return;
  partial += 2 * (own.fibre * gridDim.y + blockIdx.y);
  partial[0] = largest;
  partial[1] = total;
}

template <typename T>
__global__ void forward_rest(const T* x, const double* partial, T* y, long long count, long long inner, int width,
                             bool logarithm) {
  Piece own = part_of_fibre(count, inner, width);
  T largest;
  double total;
  sum_of_parts(partial, own, width, 2, largest, total);
  write(x, y, own, largest, total, logarithm);
}

template <typename T>
__global__ void backward_parts(const T* gy, const T* y, double* partial, long long count, long long inner, int width,
                               bool logarithm) {
  Piece own = part_of_fibre(count, inner, width);
  double total = own_product(gy, y, own, logarithm), unused = 0;
  group_sums(total, unused, width, 1);
  if (own.fibre >= 0 && helper(width) == 0) partial[own.fibre * gridDim.y + blockIdx.y] = total;
}

template <typename T>
__global__ void backward_rest(const T* gy, const T* y, const double* partial, T* gx, long long count, long long inner,
                              int width, bool logarithm) {
  Piece own = part_of_fibre(count, inner, width);
  int parts = own.fibre < 0 ? 0 : gridDim.y;
  double total = 0, unused = 0;
  for (int part = helper(width); part < parts; part += own.step) total += partial[own.fibre * gridDim.y + part];
  group_sums(total, unused, width, 1);
  write_gradient(gy, y, gx, own, count, total, logarithm);
}
