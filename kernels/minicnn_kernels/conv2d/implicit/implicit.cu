// Convolution 4 of 8, implicit: a matrix product whose large factor is never written (implicit GEMM).
// Equations and legend: conv2d/implicit/__init__.py and conv2d/__init__.py.
// kernels: forward<float, 4>, forward<float, 1>, forward<double, 4>, forward<double, 1>
// kernels: backward_x<float, 4>, backward_x<float, 1>, backward_x<double, 4>, backward_x<double, 1>
// kernels: backward_w<float, 4>, backward_w<float, 1>, backward_w<double, 4>, backward_w<double, 1>
// registers: 192
//
// What is different from `direct.cu`: there, the thread of an output reads a pixel and a weight from memory for every
// multiplication, and its neighbours read the same numbers again: the thread of the next output channel reads the same
// pixels, that of the next output pixel the same weights. Here a block of 256 threads computes 64 channels of 64 output
// pixels together, a tile (device/tile.cuh). For each term of the sum it copies 64 weights and 64 pixels to shared
// memory, enough for 64*64 multiplications, and each thread computes 4 x 4 outputs in its registers. So convolution
// becomes a matrix product,
//
//     y[o, (n, i, j)] = sum over k = (c, a, b) of w[o, k] * col[k, (n, i, j)]
//
// where col is the matrix of im2col. But it is never written: `Windows` says where col[k, (n, i, j)] is in x, and the
// tile reads it from there. All three kernels are this product, with other matrices:
//
//                  rows               columns             terms of the sum
//     forward      o                  windows (n, i, j)   cells (c, a, b)      w times windows of x
//     backward_x   c                  pixels (n, p, q)    cells (o, a, b)      w times windows of gy
//     backward_w   o                  cells (c, a, b)     windows (n, i, j)    gy times windows of x
//
// Each is done for each group. In NCHW memory b is the fastest of (c, a, b), in channels-last memory c is: so
// neighbours in a matrix are neighbours in memory. Sums are cut into parts if there are few tiles, as in backward_w
// (gemm.cu).

#include "phases.cuh"
#include "tile.cuh"

// Where a line is that there is not. Whatever is added to it, the sum is not in the image: it stays below 0, or wraps
// round to a number beyond the largest image.
const int NOWHERE = -2147483647 - 1;

// Where a window begins, or a cell within its window; the sum of both is a pixel.
struct Place {
  long long at;
  int p, q;
};

// The pixels of images under the cells of windows. Window (n, i, j) of rows x columns ones in each image begins at
// pixel (i*sh + top, j*sw + left). Cell (c, a, b) is (a*dh, b*dw) further, in channel c.
template <typename T>
struct Windows {
  const T* x;
  Strides xs;
  int h, w;
  long long count;  // of all windows
  int rows, columns, sh, sw, top, left;
  int channels, kh, kw, dh, dw;

  __device__ bool inside() const { return xs.c == 1; }  // channels are the neighbours in memory

  __device__ Place window(long long e) const {
    long long row = e / columns;
    int p = row % rows * sh + top, q = (e - row * columns) * sw + left;
    return {row / rows * xs.n + p * xs.h + q * xs.w, p, q};
  }
  __device__ Place cell(long long k) const {
    long long c, a, b;
    if (inside())
      c = k % channels, b = k / channels % kw, a = k / channels / kw;
    else
      b = k % kw, a = k / kw % kh, c = k / kw / kh;
    return {c * xs.c + a * dh * xs.h + b * dw * xs.w, int(a * dh), int(b * dw)};
  }
  __device__ T pixel(const Place& window, const Place& cell) const {
    int p = unsigned(window.p) + unsigned(cell.p), q = window.q + cell.q;
    return p >= 0 && p < h && q >= 0 && q < w ? x[window.at + cell.at] : T(0);
  }
};

// The two ways in which windows are an operand of `tile_product`.
template <typename T>
struct WindowsAsLines {
  typedef Place Line;
  typedef Place Term;
  const Windows<T>& windows;
  bool by_term;
  __device__ WindowsAsLines(const Windows<T>& windows) : windows(windows), by_term(windows.inside()) {}
  __device__ Place line(long long i) const { return i < windows.count ? windows.window(i) : Place{0, NOWHERE, 0}; }
  __device__ Place term(long long k) const { return windows.cell(k); }
  __device__ T at(const Place& line, const Place& term) const { return windows.pixel(line, term); }
};

template <typename T>
struct CellsAsLines {
  typedef Place Line;
  typedef Place Term;
  const Windows<T>& windows;
  long long cells;
  bool by_term;
  __device__ CellsAsLines(const Windows<T>& windows, long long cells)
      : windows(windows), cells(cells), by_term(!windows.inside()) {}
  __device__ Place line(long long i) const { return i < cells ? windows.cell(i) : Place{0, NOWHERE, 0}; }
  __device__ Place term(long long k) const { return windows.window(k); }
  __device__ T at(const Place& line, const Place& term) const { return windows.pixel(term, line); }
};

__device__ inline Axis simple_axis(long long size, long long step) { return {size, 1, step, 0, 0}; }

// The pixels of all images of y or gy.
__device__ inline Axis pixels_of(const Conv& g, const Strides& ys) { return {g.ow, g.oh, ys.w, ys.h, ys.n}; }

// The cells of a filter in the order of `Windows::cell`.
__device__ inline Axis cells_of(const Conv& g, const Strides& ws, bool inside) {
  if (inside) return {g.c / g.groups, g.kw, ws.c, ws.w, ws.h};
  return {g.kw, g.kh, ws.w, ws.h, ws.c};
}

// The windows of x in one group.
template <typename T>
__device__ inline Windows<T> windows_of(const T* x, const Strides& xs, const Conv& g, long long group) {
  int cg = g.c / g.groups;
  long long count = (long long)g.n * g.oh * g.ow;
  return {x + group * cg * xs.c, xs, g.h, g.w, count, g.oh, g.ow, g.sh, g.sw, -g.ph, -g.pw, cg, g.kh, g.kw, g.dh, g.dw};
}

template <typename T, int R>
__global__ void __launch_bounds__(THREADS, BLOCKS<T>)
    forward(const T* x, Strides xs, const T* w, Strides ws, const T* bias, T* y, Strides ys, Conv g, Tiles tiles) {
  Work work = work_of_block<R>(tiles);  // of a batch of groups
  long long first = work.batch * (g.o / g.groups);
  Windows<T> windows = windows_of(x, xs, g, work.batch);
  Matrix<T> left(w + first * ws.n, simple_axis(tiles.rows, ws.n), cells_of(g, ws, windows.inside()), tiles.rows);
  WindowsAsLines<T> right(windows);
  T sums[R][4];
  tile_product<T, R>(left, right, work.row, work.column, work.k0, work.k1, sums);
  if (bias && work.part == 0) {
    long long row = work.row + R * (threadIdx.x / 16);
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
      for (int c = 0; c < 4; c++)
        if (row + r < tiles.rows) sums[r][c] += bias[first + row + r];
  }
  y += first * ys.c + work.part * tiles.size;
  write_tile<T, R>(y, simple_axis(tiles.rows, ys.c), pixels_of(g, ys), tiles, work.row, work.column, sums);
}

// With strides, a pixel of x is seen only by some rows and columns of the filter, those of its phase (phases.cuh). So
// there is a product for each phase, with these cells and the pixels p = p0 + m*SH, q = q0 + l*SW: a convolution of gy
// with stride 1, whose windows run backwards.
template <typename T, int R>
__global__ void __launch_bounds__(THREADS, BLOCKS<T>)
    backward_x(const T* gy, Strides ys, const T* w, Strides ws, T* gx, Strides xs, Conv g, Tiles tiles) {
  // The same for all threads, and too much for the registers of each.
  __shared__ Windows<T> windows;
  __shared__ Axis cells, pixels;
  __shared__ long long end, first_weight, first_pixel;
  __shared__ Work work;  // of a batch of groups x phases, of which an image of few rows or columns has few
  if (threadIdx.x == 0) work = work_of_block<R>(tiles);
  __syncthreads();
  int down = min(g.sh, g.h), across = min(g.sw, g.w), og = g.o / g.groups;
  int p0 = work.batch / across % down, q0 = work.batch % across;
  int rows = (g.h - p0 - 1) / g.sh + 1, columns = (g.w - q0 - 1) / g.sw + 1;
  tiles.columns = (long long)g.n * rows * columns;
  if (work.column >= tiles.columns) return;  // a smaller phase; the whole block leaves
  if (threadIdx.x == 0) {
    long long group = work.batch / across / down;
    Phase high = phase_of(p0 + g.ph, g.kh, g.sh, g.dh), wide = phase_of(q0 + g.pw, g.kw, g.sw, g.dw);
    int top = (p0 + g.ph - high.first * g.dh) / g.sh, left = (q0 + g.pw - wide.first * g.dw) / g.sw;
    windows = Windows<T>{gy + group * og * ys.c,
                         ys,
                         g.oh,
                         g.ow,
                         tiles.columns,
                         rows,
                         columns,
                         1,
                         1,
                         top,
                         left,
                         og,
                         high.count,
                         wide.count,
                         -high.back,
                         -wide.back};
    long long step_a = high.step * ws.h, step_b = wide.step * ws.w;
    if (windows.inside())
      cells = Axis{og, wide.count, ws.n, step_b, step_a};
    else
      cells = Axis{wide.count, high.count, step_b, step_a, ws.n};
    pixels = Axis{columns, rows, g.sw * xs.w, g.sh * xs.h, xs.n};
    end = min(work.k1, (long long)og * high.count * wide.count);
    first_weight = group * og * ws.n + high.first * ws.h + wide.first * ws.w;
    first_pixel = group * tiles.rows * xs.c + p0 * xs.h + q0 * xs.w + work.part * tiles.size;
  }
  __syncthreads();
  Matrix<T> left(w + first_weight, simple_axis(tiles.rows, ws.c), cells, tiles.rows);
  WindowsAsLines<T> right(windows);
  T sums[R][4];
  tile_product<T, R>(left, right, work.row, work.column, work.k0, end, sums);
  write_tile<T, R>(gx + first_pixel, simple_axis(tiles.rows, xs.c), pixels, tiles, work.row, work.column, sums);
}

template <typename T, int R>
__global__ void __launch_bounds__(THREADS, BLOCKS<T>)
    backward_w(const T* gy, Strides ys, const T* x, Strides xs, T* gw, Strides ws, Conv g, Tiles tiles) {
  Work work = work_of_block<R>(tiles);  // of a batch of groups
  long long first = work.batch * tiles.rows;
  Windows<T> windows = windows_of(x, xs, g, work.batch);
  Matrix<T> left(gy + first * ys.c, simple_axis(tiles.rows, ys.c), pixels_of(g, ys), tiles.rows);
  CellsAsLines<T> right(windows, tiles.columns);
  T sums[R][4];
  tile_product<T, R>(left, right, work.row, work.column, work.k0, work.k1, sums);
  gw += first * ws.n + work.part * tiles.size;
  Axis cells = cells_of(g, ws, windows.inside());
  write_tile<T, R>(gw, simple_axis(tiles.rows, ws.n), cells, tiles, work.row, work.column, sums);
}
