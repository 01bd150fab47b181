// Group normalisation. Equations and legend: normalization.py.
// kernels: forward, forward_parts, forward_rest, inverse_std, gradient, gradient_parts, gradient_rest, gradient_sums
// registers: 64
//
// What is different from the python row: a block has one group, or as many small groups as it has threads for. Its
// threads add up the group, wait for each other, and then go over the same values once more, which are still in a
// cache. As in batchnorm/channels.cu, mean and variance take one pass, in double, with the differences to the group's
// first value.
//
// Memory is `items` of `rows`, and a row has `per` values of each of the `across` groups side by side. In NCHW memory a
// group is one run, and all runs are one row; in channels-last memory an item is an image and a row a pixel.
//
// A few long groups would leave most of a GPU idle. A group of them has several blocks: see the kernels _parts and
// _rest.

#include "channels.cuh"

// What a thread has of its group: in each row from `row` on, in steps of `row_step`, the values k, k + k_step, ...
struct Share {
  long long group, start;  // the group's number among all, and where its first value is
  int row, row_step, k, k_step;
  bool there;      // whether the thread has anything at all
  int width, per;  // for group_sums: the columns of the block's threads, and those of a group

  // The thread's number among those of its group in the block, and how many these are.
  __device__ int helper() const { return threadIdx.x / width * per + threadIdx.x % width % per; }
  __device__ int helpers() const { return BLOCK / width * per; }
};

// Block x has groups, block y a part of them: some of the rows, or of the only row.
__device__ inline Share share(const Groups& v) {
  Share s;
  int blocks = (v.across + v.many - 1) / v.many, item = blockIdx.x / blocks, t = threadIdx.x;
  int group = blockIdx.x % blocks * v.many, parts = gridDim.y;
  bool by_row = v.rows > 1;
  s.per = min(v.per, BLOCK);
  s.width = v.many * s.per;  // more than one group only if they are narrow
  int together = BLOCK / s.width, row = t / s.width, k = t % s.width % s.per;
  group += t % s.width / s.per;
  s.row = row + (by_row ? blockIdx.y * together : 0);
  s.row_step = by_row ? together * parts : together;
  s.k = k + (by_row ? 0 : blockIdx.y * BLOCK);
  s.k_step = by_row ? BLOCK : BLOCK * parts;
  s.there = row < together && group < v.across;
  s.group = (long long)item * v.across + group;
  s.start = ((long long)item * v.rows * v.across + group) * v.per;
  return s;
}

// Calls value(at, k) for each value of a thread's share: its place in memory, and its number in the group's row.
template <typename Value>
__device__ inline void each_own(const Groups& v, const Share& s, Value value) {
  if (!s.there) return;
  for (long long row = s.row; row < v.rows; row += s.row_step)
    for (int k = s.k; k < v.per; k += s.k_step) value(s.start + row * v.across * v.per + k, k);
}

// The channel of value k of a group.
__device__ inline int channel(const Groups& v, const Share& s, int k) {
  return s.group % v.groups * (v.channels / v.groups) + k / v.size;
}

// ------------------------------------------------------------------------------------------------------------ forward

// The sums of d and of d^2 over what the block has of the group.
template <typename T>
__device__ inline void moments(const T* x, bool centred, const Groups& v, const Share& own, double& sum,
                               double& squares) {
  double first = own.there && centred ? x[own.start] : 0;
  sum = squares = 0;
  each_own(v, own, [&](long long at, int) {
    double d = x[at] - first;
    sum += d;
    squares += d * d;
  });
  group_sums(sum, squares, own.width, own.per);
}

template <typename T>
__device__ inline void normalise(const T* x, const T* gamma, const T* beta, double eps, bool centred, T* y, T* mean,
                                 T* var, const Groups& v, const Share& own, double sum, double squares) {
  double first = own.there && centred ? x[own.start] : 0, count = (double)v.rows * v.per;
  double away = centred ? sum / count : 0, spread = squares / count - away * away;
  T middle = first + away, invstd = 1 / sqrt(spread + eps);
  if (own.there && own.helper() == 0 && blockIdx.y == 0) mean[own.group] = middle, var[own.group] = spread;
  each_own(v, own, [&](long long at, int k) {
    int c = channel(v, own, k);
    T scale = gamma ? gamma[c] * invstd : invstd;
    y[at] = (x[at] - middle) * scale + (beta ? beta[c] : T(0));
  });
}

template <typename T>
__global__ void forward(const T* x, const T* gamma, const T* beta, double eps, bool centred, T* y, T* mean, T* var,
                        Groups v) {
  Share own = share(v);
  double sum, squares;
  moments(x, centred, v, own, sum, squares);
  normalise(x, gamma, beta, eps, centred, y, mean, var, v, own, sum, squares);
}

// What is different from `forward`: two kernels, since blocks cannot wait for each other. The first leaves the two sums
// of each part of a group, the second begins with their sum, which each block computes for itself, in the same order.
__device__ inline void leave(double* partial, const Share& own, double a, double b) {
  if (!own.there || own.helper()) return;
  partial += 2 * (own.group * gridDim.y + blockIdx.y);
  partial[0] = a;
  partial[1] = b;
}

__device__ inline void add_parts(const double* partial, const Share& own, double& a, double& b) {
  int parts = own.there ? gridDim.y : 0;
  partial += 2 * own.group * gridDim.y;
  a = b = 0;
  for (int part = own.helper(); part < parts; part += own.helpers()) a += partial[2 * part], b += partial[2 * part + 1];
  group_sums(a, b, own.width, own.per);
}

template <typename T>
__global__ void forward_parts(const T* x, bool centred, double* partial, Groups v) {
  Share own = share(v);
  double sum, squares;
  moments(x, centred, v, own, sum, squares);
  leave(partial, own, sum, squares);
}

template <typename T>
__global__ void forward_rest(const T* x, const double* partial, const T* gamma, const T* beta, double eps, bool centred,
                             T* y, T* mean, T* var, Groups v) {
  Share own = share(v);
  double sum, squares;
  add_parts(partial, own, sum, squares);
  normalise(x, gamma, beta, eps, centred, y, mean, var, v, own, sum, squares);
}

// ----------------------------------------------------------------------------------------------------------- backward

// 1/std of each group; a warp for each. A variance that overflows in float, of values of 1e20, is computed again.
template <typename T>
__global__ void inverse_std(const T* x, const T* var, double eps, bool centred, T* invstd, Groups v) {
  long long group = thread_number() / 32, lane = threadIdx.x % 32;
  if (group >= (long long)v.items * v.across) return;  // a whole warp leaves
  double spread = var[group];
  if (isinf(spread)) {  // in all lanes
    const T* values = x + (group / v.across * v.rows * v.across + group % v.across) * v.per;
    double first = centred ? values[0] : T(0), sum = 0, squares = 0, count = (double)v.rows * v.per;
    for (long long row = 0; row < v.rows; row++)
      for (long long k = lane; k < v.per; k += 32) {
        double d = values[row * v.across * v.per + k] - first;
        sum += d;
        squares += d * d;
      }
    sum = centred ? warp_sum(sum) / count : 0;
    spread = warp_sum(squares) / count - sum * sum;
  }
  if (lane == 0) invstd[group] = 1 / sqrt(spread + eps);
}

// The numbers of a group. As in batchnorm/channels.cu, gradients are multiplied by `damp`, since they may be near the
// largest float.
template <typename T>
struct Line {
  T mean, invstd, damp;
  const T* gamma;

  __device__ Line(const T* mean, const T* invstd, const T* gamma, const Share& own)
      : mean(own.there ? mean[own.group] : T(0)),
        invstd(own.there ? invstd[own.group] : T(0)),
        damp(damping(this->invstd)),
        gamma(gamma) {}
  __device__ T xhat(T x) const { return (x - mean) * invstd; }
  __device__ T up(T gy, const Groups& v, const Share& own, int k) const {
    return gamma ? damp * gamma[channel(v, own, k)] * gy : damp * gy;
  }
};

// The sums of gamma gy and of gamma gy xhat over what the block has of the group.
template <typename T>
__device__ inline void slopes(const T* gy, const T* x, const Line<T>& line, const Groups& v, const Share& own,
                              double& first, double& second) {
  first = second = 0;
  each_own(v, own, [&](long long at, int k) {
    double up = line.up(gy[at], v, own, k);
    first += up;
    second += up * line.xhat(x[at]);
  });
  group_sums(first, second, own.width, own.per);
}

template <typename T>
__device__ inline void write_gradient(const T* gy, const T* x, const Line<T>& line, bool centred, T* gx,
                                      const Groups& v, const Share& own, double first, double second) {
  double count = (double)v.rows * v.per;
  T average = centred ? first / count : 0, slope = second / count, scale = line.invstd / line.damp;
  each_own(v, own, [&](long long at, int k) {
    gx[at] = scale * (line.up(gy[at], v, own, k) - average - line.xhat(x[at]) * slope);
  });
}

template <typename T>
__global__ void gradient(const T* gy, const T* x, const T* gamma, const T* mean, const T* invstd, bool centred, T* gx,
                         Groups v) {
  Share own = share(v);
  Line<T> line(mean, invstd, gamma, own);
  double first, second;
  slopes(gy, x, line, v, own, first, second);
  write_gradient(gy, x, line, centred, gx, v, own, first, second);
}

// What is different from `gradient`: two kernels, as in the forward pass.
template <typename T>
__global__ void gradient_parts(const T* gy, const T* x, const T* gamma, const T* mean, const T* invstd, double* partial,
                               Groups v) {
  Share own = share(v);
  Line<T> line(mean, invstd, gamma, own);
  double first, second;
  slopes(gy, x, line, v, own, first, second);
  leave(partial, own, first, second);
}

template <typename T>
__global__ void gradient_rest(const T* gy, const T* x, const double* partial, const T* gamma, const T* mean,
                              const T* invstd, bool centred, T* gx, Groups v) {
  Share own = share(v);
  Line<T> line(mean, invstd, gamma, own);
  double first, second;
  add_parts(partial, own, first, second);
  write_gradient(gy, x, line, centred, gx, v, own, first, second);
}

// The sums of gy and of gy xhat for each channel, over all images; an image has `pixels` rows of v.
template <typename T>
__global__ void gradient_sums(const T* gy, const T* x, const T* mean, const T* invstd, long long groups,
                              long long pixels, double* partial, Channels v) {
  int group = 0;
  channel_sums(
      partial, v, [&](int c) { group = c / (v.channels / groups); },
      [&](long long at, long long row, double& a, double& b) {
        long long n = row / pixels * groups + group;
        a += gy[at];
        b += double(gy[at]) * ((x[at] - mean[n]) * invstd[n]);  // in double: gy may be near the largest float
      });
}
