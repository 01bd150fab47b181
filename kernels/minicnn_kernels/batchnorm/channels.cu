// Batch normalisation. Equations and legend: batchnorm/__init__.py.
// kernels: moments, statistics, scale, gradient_sums, vector_gradients, gradient
// registers: 64
//
// What is different from the python row: each pass over memory is a kernel, and each sum has many threads. Forward is
// moments, statistics and scale, backward gradient_sums, vector_gradients and gradient; the second of the three is
// small, it adds up what blocks have found. In evaluation `scale` or `gradient` is enough for y or gx.
//
// Mean and variance take one pass: the sums of d = x - x0 and of d^2, in double, where x0 is the first value of the
// channel. mean = x0 + sum d / M, var = sum d^2 / M - (sum d / M)^2. This subtraction loses digits if x0 is far from
// the mean, compared to the standard deviation s. But (x0 - mean)^2 is a part of var, so |x0 - mean| <= s sqrt(M), and
// double has digits enough for that; and var cannot come out negative.
//
// A pointer that Python gave as None is null: gamma and beta for 1 and 0, and of invstd and var the one not given.

#include "channels.cuh"

// The numbers of a channel: y = (x - mean) scale + shift.
template <typename T>
struct Line {
  T mean, invstd, scale, shift;

  __device__ T xhat(T x) const { return (x - mean) * invstd; }
  __device__ T y(T x) const { return (x - mean) * scale + shift; }
};

template <typename T>
__device__ inline Line<T> line(int c, const T* gamma, const T* beta, const T* mean, const T* invstd, const T* var,
                               double eps) {
  T inverse = invstd ? invstd[c] : T(1) / sqrt(T(var[c] + eps));
  return {mean[c], inverse, gamma ? gamma[c] * inverse : inverse, beta ? beta[c] : T(0)};
}

// ----------------------------------------------------------------------------------------------------------- forward

template <typename T>
__global__ void moments(const T* x, double* partial, Channels v) {
  double first = 0;
  channel_sums(
      partial, v, [&](int c) { first = x[(long long)c * v.size]; },
      [&](long long at, long long, double& a, double& b) {
        double d = x[at] - first;
        a += d;
        b += d * d;
      });
}

// A warp for each channel.
template <typename T>
__global__ void statistics(const T* x, const double* partial, long long parts, double eps, T* mean, T* var, T* invstd,
                           Channels v) {
  long long c = thread_number() / 32;
  if (c >= v.channels) return;  // a whole warp leaves
  double sum, squares, count = max((double)v.rows * v.size, 1.0);
  total(partial, parts, c, sum, squares);
  double away = sum / count, spread = squares / count - away * away;
  if (threadIdx.x % 32) return;
  mean[c] = (parts ? double(x[c * v.size]) : 0.0) + away;  // an empty batch has no parts, and mean 0
  var[c] = spread;
  invstd[c] = 1 / sqrt(spread + eps);
}

template <typename T>
__global__ void scale(const T* x, const T* gamma, const T* beta, const T* mean, const T* invstd, const T* var,
                      double eps, bool relu, T* y, Channels v) {
  Line<T> own;
  each_value(
      v, [&](int c) { own = line(c, gamma, beta, mean, invstd, var, eps); },
      [&](long long at) {
        T value = own.y(x[at]);
        y[at] = relu && value <= 0 ? T(0) : value;
      });
}

// ---------------------------------------------------------------------------------------------------------- backward

// The sums of g and of g xhat, where g is gy after ReLU.
template <typename T>
__global__ void gradient_sums(const T* gy, const T* x, const T* gamma, const T* beta, const T* mean, const T* invstd,
                              const T* var, double eps, bool relu, double* partial, Channels v) {
  Line<T> own;
  channel_sums(
      partial, v, [&](int c) { own = line(c, gamma, beta, mean, invstd, var, eps); },
      [&](long long at, long long, double& a, double& b) {
        double g = relu && own.y(x[at]) <= 0 ? T(0) : gy[at];
        a += g;
        b += g * own.xhat(x[at]);  // in double: gy may be near the largest float
      });
}

// A warp for each channel. A sum may be too large for float where its mean is not, which is for `gradient`: (C, 2).
template <typename T>
__global__ void vector_gradients(const double* partial, long long parts, T* ggamma, T* gbeta, T* means, Channels v) {
  long long c = thread_number() / 32;
  if (c >= v.channels) return;
  double first, second, count = max((double)v.rows * v.size, 1.0);
  total(partial, parts, c, first, second);
  if (threadIdx.x % 32) return;
  gbeta[c] = first;
  ggamma[c] = second;
  means[2 * c] = first / count;
  means[2 * c + 1] = second / count;
}

// gx; in evaluation, where mean and variance do not depend on x, the means of g and of g xhat are null.
//
// Gradients near the largest float may be further apart than float reaches, where gx is not too large, if the scale is
// small. So they are first multiplied by `damp`, a power of two, which rounds nothing.
template <typename T>
__global__ void gradient(const T* gy, const T* x, const T* gamma, const T* beta, const T* mean, const T* invstd,
                         const T* var, double eps, bool relu, const T* means, T* gx, Channels v) {
  Line<T> own;
  T first = 0, second = 0, damp = 1, rest = 0;
  each_value(
      v,
      [&](int c) {
        own = line(c, gamma, beta, mean, invstd, var, eps);
        rest = own.scale;
        if (means) {
          damp = damping(own.scale);
          rest /= damp;
          first = damp * means[2 * c], second = damp * means[2 * c + 1];
        }
      },
      [&](long long at) {
        T g = relu && own.y(x[at]) <= 0 ? T(0) : damp * gy[at];
        gx[at] = rest * (means ? g - first - own.xhat(x[at]) * second : g);
      });
}
