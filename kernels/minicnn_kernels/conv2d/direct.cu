// Convolution 1 of 8, direct: the definition. Equations and legend: conv2d/__init__.py.
// kernels: forward, backward_x, backward_w
// registers: 64
//
// What is different from the python row: each output has a thread, and the grid of threads stands in place of the loops
// over (n, o, i, j). The strides say where a pixel is, so images may be NCHW or channels last.

#include "threads.cuh"

// The pixel of x under filter cell (a, b) for output (i, j), if it is not in the padding.
__device__ inline bool under(const Conv& g, int i, int j, int a, int b, int& p, int& q) {
  p = i * g.sh - g.ph + a * g.dh;
  q = j * g.sw - g.pw + b * g.dw;
  return p >= 0 && p < g.h && q >= 0 && q < g.w;
}

template <typename T>
__global__ void forward(const T* x, Strides xs, const T* w, const T* bias, T* y, Strides ys, Conv g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.o * g.oh * g.ow) return;
  // Neighbouring threads have neighbouring j: they read neighbouring pixels, which come from memory together.
  long long plane = (long long)g.oh * g.ow;
  int j = at % g.ow, i = at / g.ow % g.oh, o = at / plane % g.o, n = at / plane / g.o;
  int cg = g.c / g.groups, first = o / (g.o / g.groups) * cg, p, q;
  T sum = 0;
  for (int c = 0; c < cg; c++)
    for (int a = 0; a < g.kh; a++)
      for (int b = 0; b < g.kw; b++)
        if (under(g, i, j, a, b, p, q))
          sum += w[((o * (long long)cg + c) * g.kh + a) * g.kw + b] *
                 x[n * xs.n + (first + c) * xs.c + p * xs.h + q * xs.w];
  y[n * ys.n + o * ys.c + i * ys.h + j * ys.w] = bias ? sum + bias[o] : sum;
}

// A thread for each pixel of gx: it looks for the outputs whose windows have it, so no two threads write one place.
template <typename T>
__global__ void backward_x(const T* gy, Strides ys, const T* w, T* gx, Strides xs, Conv g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.h * g.w) return;
  long long plane = (long long)g.h * g.w;
  int q = at % g.w, p = at / g.w % g.h, ci = at / plane % g.c, n = at / plane / g.c;
  int cg = g.c / g.groups, og = g.o / g.groups, c = ci % cg;
  T sum = 0;
  for (int a = 0; a < g.kh; a++) {
    int top = p + g.ph - a * g.dh;  // = i * SH
    if (top < 0 || top % g.sh || top / g.sh >= g.oh) continue;
    for (int b = 0; b < g.kw; b++) {
      int left = q + g.pw - b * g.dw;
      if (left < 0 || left % g.sw || left / g.sw >= g.ow) continue;
      for (int o = ci / cg * og; o < (ci / cg + 1) * og; o++)
        sum += gy[n * ys.n + o * ys.c + top / g.sh * ys.h + left / g.sw * ys.w] *
               w[((o * (long long)cg + c) * g.kh + a) * g.kw + b];
    }
  }
  gx[n * xs.n + ci * xs.c + p * xs.h + q * xs.w] = sum;
}

// A warp for each weight: its lanes take the outputs (n, i, j) in turn, and add up what they found.
template <typename T>
__global__ void backward_w(const T* gy, Strides ys, const T* x, Strides xs, T* gw, Conv g) {
  long long at = thread_number() / 32;
  int cg = g.c / g.groups;
  if (at >= (long long)g.o * cg * g.kh * g.kw) return;  // a whole warp leaves
  int b = at % g.kw, a = at / g.kw % g.kh, c = at / (g.kw * g.kh) % cg, o = at / (g.kw * g.kh) / cg, p, q;
  int ci = o / (g.o / g.groups) * cg + c;
  T sum = 0;
  for (long long k = threadIdx.x % 32; k < (long long)g.n * g.oh * g.ow; k += 32) {
    int j = k % g.ow, i = k / g.ow % g.oh, n = k / ((long long)g.ow * g.oh);
    if (under(g, i, j, a, b, p, q))
      sum += gy[n * ys.n + o * ys.c + i * ys.h + j * ys.w] * x[n * xs.n + ci * xs.c + p * xs.h + q * xs.w];
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) gw[at] = sum;
}
