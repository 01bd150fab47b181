// Softmax and cross-entropy, row by row. Equations and legend: softmax_xent.py.
// kernels: forward, forward_together, forward_parts, forward_rest
// kernels: backward, sums_of_weights, backward_together
// registers: 72
//
// What is different from the numba row: a warp for each row. Its lane i takes the classes i, i + 32, i + 64 ...; then
// the lanes add up what they found by shuffles, without shared memory and without a barrier. A row is read from memory
// once, and twice more from the cache, which is faster than to write e^(x - m) and to read it again. Sums are double.
//
// A few long rows would leave most of a GPU idle. They have a block each, or each a part of several blocks, as in
// softmax.cu.

#include "fibres.cuh"

// q[k] of a row whose true class is t, without its weight w[k].
__device__ inline double share(long long k, long long t, long long classes, double e) {
  return (k == t ? 1 - e : 0) + e / classes;
}

// The thread's part of the loss with smoothing, for a shift m: the sum of q[k] (m - x[k]) to `found`, that of q to
// `all`. If the largest logit is not m but M, the loss is found + all (M - m + log s).
template <typename T>
__device__ inline void own_loss(const T* x, const T* w, const Piece& own, long long truth, long long classes, double e,
                                T largest, double& all, double& found) {
  double m = largest == -INFINITY ? 0.0 : double(largest);  // as in `own_sum`
  all = found = 0;
  if (e == 0) return;  // only the true class counts
  own.each([&](long long at, long long k) {
    double q = (w ? w[k] : T(1)) * share(k, truth, classes, e);
    all += q;
    found += q * (m - x[at]);
  });
}

// The numbers of a row: its p and its loss. In double, two logits may be further apart than float reaches.
template <typename T>
__device__ inline void write(const T* x, const T* w, T* p, T* loss, const Piece& own, long long truth,
                             long long classes, long long ignore, double e, T largest, double total, double all,
                             double found) {
  T scale = 1 / total;
  own.each([&](long long at, long long) { p[at] = exp(x[at] - largest) * scale; });
  if (own.first) return;  // the first thread of a row
  bool there = truth >= 0 && truth < classes;
  double log_total = log(total), m = largest == -INFINITY ? 0.0 : double(largest);
  if (e == 0 && there) all = w ? w[truth] : T(1), found = all * (m - x[own.start + truth]);
  loss[own.fibre] = truth == ignore ? T(0) : there ? T(found + all * (largest - m + log_total)) : T(NAN);
}

template <typename T>
__global__ void forward(const T* x, const long long* t, const T* w, T* loss, T* p, long long rows, long long classes,
                        long long ignore, double e) {
  Piece own = whole_fibre(rows, classes, 1, 32);
  if (own.fibre < 0) return;  // a whole warp leaves
  long long truth = t[own.fibre];
  T largest = warp_max(own_largest(x, own));
  double total = warp_sum(own_sum(x, own, largest)), all, found;
  own_loss(x, w, own, truth, classes, e, largest, all, found);
  if (e != 0) all = warp_sum(all), found = warp_sum(found);
  write(x, w, p, loss, own, truth, classes, ignore, e, largest, total, all, found);
}

// gx = g (Q p - q), with Q = sum_k q[k].
template <typename T>
__device__ inline void write_gradient(const T* g, const T* p, const T* w, T* gx, const Piece& own, long long truth,
                                      long long classes, long long ignore, double e, double weights) {
  bool kept = truth != ignore, there = truth >= 0 && truth < classes;
  double total = kept && there ? (1 - e) * (w ? w[truth] : T(1)) : 0;
  if (e != 0) total += e / classes * weights;
  T up = there ? g[own.fibre] : T(NAN);
  own.each([&](long long at, long long k) {
    gx[at] = kept ? up * (T(total) * p[at] - (w ? w[k] : T(1)) * T(share(k, truth, classes, e))) : T(0);
  });
}

// The sum of w is computed for each row, since w is in the cache.
template <typename T>
__global__ void backward(const T* g, const T* p, const long long* t, const T* w, T* gx, long long rows,
                         long long classes, long long ignore, double e) {
  Piece own = whole_fibre(rows, classes, 1, 32);
  if (own.fibre < 0) return;
  double weights = classes;
  if (w && e != 0) {
    weights = 0;
    for (long long k = own.first; k < classes; k += 32) weights += w[k];
    weights = warp_sum(weights);
  }
  write_gradient(g, p, w, gx, own, t[own.fibre], classes, ignore, e, weights);
}

// --------------------------------------------------------------------------------------- blocks, or parts of them, for
// a row

// What is different from `forward`: the threads of a block have one row.
template <typename T>
__global__ void forward_together(const T* x, const long long* t, const T* w, T* loss, T* p, long long classes,
                                 long long ignore, double e) {
  Piece own = part_of_fibre(classes, 1, 1);
  long long truth = t[own.fibre];
  T largest;
  double total, all, found;
  part_sum(x, own, 1, largest, total);
  own_loss(x, w, own, truth, classes, e, largest, all, found);
  group_sums(all, found, 1, 1);
  write(x, w, p, loss, own, truth, classes, ignore, e, largest, total, all, found);
}

// What is different from `forward_together`: a part of the row. It leaves four numbers: its largest logit m, the sum of
// e^(x - m), and the two sums of `own_loss`.
template <typename T>
__global__ void forward_parts(const T* x, const long long* t, const T* w, double* partial, long long classes,
                              double e) {
  Piece own = part_of_fibre(classes, 1, 1);
  T largest;
  double total, all, found;
  part_sum(x, own, 1, largest, total);
  own_loss(x, w, own, t[own.fibre], classes, e, largest, all, found);
  group_sums(all, found, 1, 1);
  if (threadIdx.x) return;
  partial += 4 * (own.fibre * gridDim.y + blockIdx.y);
  partial[0] = largest, partial[1] = total, partial[2] = all, partial[3] = found;
}

// The rest: with M the largest m, the loss is the sum over the parts of found + all (M - m), and all log s.
template <typename T>
__global__ void forward_rest(const T* x, const long long* t, const T* w, const double* partial, T* loss, T* p,
                             long long classes, long long ignore, double e) {
  Piece own = part_of_fibre(classes, 1, 1);
  T largest;
  double total, all = 0, found = 0;
  sum_of_parts(partial, own, 1, 4, largest, total);
  double top = largest == -INFINITY ? 0.0 : double(largest);
  for (int part = threadIdx.x; part < gridDim.y; part += BLOCK) {
    const double* of = partial + 4 * (own.fibre * gridDim.y + part);
    all += of[2];
    found += of[3] + of[2] * (top - (of[0] == -INFINITY ? 0.0 : of[0]));
  }
  group_sums(all, found, 1, 1);
  write(x, w, p, loss, own, t[own.fibre], classes, ignore, e, largest, total, all, found);
}

// The sum of w in parts, a block for each.
template <typename T>
__global__ void sums_of_weights(const T* w, double* partial, long long classes) {
  Piece own = part_of_fibre(classes, 1, 1);
  double sum = 0, unused = 0;
  own.each([&](long long at, long long) { sum += w[at]; });
  group_sums(sum, unused, 1, 1);
  if (threadIdx.x == 0) partial[blockIdx.y] = sum;
}

// What is different from `backward`: the threads of a block have a row, or a part of it. `parts` sums of w are given,
// or none if the sum is not needed or each w is 1.
template <typename T>
__global__ void backward_together(const T* g, const T* p, const long long* t, const T* w, const double* partial,
                                  long long parts, T* gx, long long classes, long long ignore, double e) {
  Piece own = part_of_fibre(classes, 1, 1);
  double weights = parts ? 0 : classes, unused = 0;
  if (parts) {  // in all threads
    for (long long part = threadIdx.x; part < parts; part += BLOCK) weights += partial[part];
    group_sums(weights, unused, 1, 1);
  }
  write_gradient(g, p, w, gx, own, t[own.fibre], classes, ignore, e, weights);
}
