// Convolution 6 of 8, depthwise: every channel has its own filters. Equations: conv2d/depthwise/__init__.py.
// kernels: forward, backward_x, backward_w
// registers: 80
//
// What is different from `direct.cu`: there is no sum over channels, so little is computed for each pixel that is read,
// and it counts how often that happens.
// - forward: a thread computes four outputs, one below the other, and reads each weight once for all of them.
// - backward_x: a thread visits only the filter cells that see its pixel (device/phases.cuh).
// - backward_w: a thread keeps the sums of nine weights in registers, a filter of 3x3. So gy is read once for all nine,
//   and not once for each.
// Neighbouring threads have neighbouring pixels, or with `inside`, in channels-last memory, neighbouring channels.

#include "phases.cuh"
#include "threads.cuh"

const int STRIP = 4, CELLS = 9, THREADS = 256;

template <typename T>
__global__ void forward(const T* x, Strides xs, const T* w, const T* bias, T* y, Strides ys, Conv g, bool inside) {
  long long left = thread_number();
  int strips = (g.oh - 1) / STRIP + 1, o, j, i;
  if (left >= (long long)g.n * g.o * strips * g.ow) return;
  if (inside) o = left % g.o, left /= g.o;
  j = left % g.ow, left /= g.ow;
  i = left % strips * STRIP, left /= strips;
  if (!inside) o = left % g.o, left /= g.o;
  const T *image = x + left * xs.n + o / (g.o / g.c) * xs.c, *filter = w + (long long)o * g.kh * g.kw;
  T sums[STRIP] = {};
  for (int a = 0; a < g.kh; a++)
    for (int b = 0; b < g.kw; b++) {
      int q = j * g.sw - g.pw + b * g.dw;
      if (q < 0 || q >= g.w) continue;
      T weight = filter[a * g.kw + b];
#pragma unroll
      for (int s = 0; s < STRIP; s++) {
        long long p = (long long)(i + s) * g.sh - g.ph + a * g.dh;
        if (p >= 0 && p < g.h) sums[s] += weight * image[p * xs.h + q * xs.w];
      }
    }
  T* to = y + left * ys.n + o * ys.c + j * ys.w;
#pragma unroll
  for (int s = 0; s < STRIP; s++)
    if (i + s < g.oh) to[(i + s) * ys.h] = bias ? sums[s] + bias[o] : sums[s];
}

template <typename T>
__global__ void backward_x(const T* gy, Strides ys, const T* w, T* gx, Strides xs, Conv g, bool inside) {
  long long left = thread_number();
  if (left >= (long long)g.n * g.c * g.h * g.w) return;
  int c, p, q, m = g.o / g.c;
  if (inside) c = left % g.c, left /= g.c;
  q = left % g.w, left /= g.w;
  p = left % g.h, left /= g.h;
  if (!inside) c = left % g.c, left /= g.c;
  Phase high = phase_of(p + g.ph, g.kh, g.sh, g.dh), wide = phase_of(q + g.pw, g.kw, g.sw, g.dw);
  T sum = 0;
  for (int s = 0; s < high.count; s++) {
    int a = high.first + s * high.step, i = (p + g.ph - a * g.dh) / g.sh;
    if (i < 0 || i >= g.oh) continue;
    for (int t = 0; t < wide.count; t++) {
      int b = wide.first + t * wide.step, j = (q + g.pw - b * g.dw) / g.sw;
      if (j < 0 || j >= g.ow) continue;
      for (long long o = (long long)c * m; o < (c + 1ll) * m; o++)
        sum += w[(o * g.kh + a) * g.kw + b] * gy[left * ys.n + o * ys.c + i * ys.h + j * ys.w];
    }
  }
  gx[left * xs.n + c * xs.c + p * xs.h + q * xs.w] = sum;
}

// A block has `wide` channels, and `length` of all N*OH*OW pixels. Its threads divide these, and at the end add up what
// they found, in pairs. The results of the blocks of other pixels are added by `add_parts` (gemm.cu).
template <typename T>
__global__ void __launch_bounds__(THREADS)
    backward_w(const T* gy, Strides ys, const T* x, Strides xs, T* gw, Conv g, long long wide, long long length) {
  __shared__ T found[THREADS];
  const int thread = threadIdx.x, cells = g.kh * g.kw, lanes = THREADS / wide;
  const long long blocks = (g.o + wide - 1) / wide, part = blockIdx.x / blocks;  // a grid has few blocks along y
  const long long o = blockIdx.x % blocks * wide + thread % wide;
  const long long first = part * length, end = min(first + length, (long long)g.n * g.oh * g.ow);
  gw += part * g.o * cells;
  for (int start = 0; start < cells; start += CELLS) {
    T sums[CELLS] = {};
    int down[CELLS], across[CELLS];
#pragma unroll
    for (int e = 0; e < CELLS; e++) {
      // No cell: above every image. The least int is -2^31.
      down[e] = start + e < cells ? (start + e) / g.kw * g.dh : -2147483647 - 1 + g.ph;
      across[e] = (start + e) % g.kw * g.dw;
    }
    for (long long k = first + thread / wide; k < end && o < g.o; k += lanes) {
      int j = k % g.ow, i = k / g.ow % g.oh;
      long long n = k / g.ow / g.oh;
      T up = gy[n * ys.n + o * ys.c + i * ys.h + j * ys.w];
      const T* image = x + n * xs.n + o / (g.o / g.c) * xs.c;
#pragma unroll
      for (int e = 0; e < CELLS; e++) {
        int p = i * g.sh - g.ph + down[e], q = j * g.sw - g.pw + across[e];
        if (p >= 0 && p < g.h && q >= 0 && q < g.w) sums[e] += up * image[p * xs.h + q * xs.w];
      }
    }
#pragma unroll
    for (int e = 0; e < CELLS; e++) {
      found[thread] = sums[e];
      __syncthreads();
      for (int half = THREADS / 2; half >= wide; half /= 2) {  // the threads of a channel are multiples of `wide` apart
        if (thread < half) found[thread] += found[thread + half];
        __syncthreads();
      }
      if (thread < wide && o < g.o && start + e < cells) gw[o * cells + start + e] = found[thread];
    }
  }
}
