// Average pooling: the mean of each window, and the backward pass. Equations and legend: pooling/__init__.py.
// kernels: forward, forward_together, backward
// registers: 96
//
// What is different from the python row: a thread for each output, and in the backward pass a thread for each pixel,
// which adds up what it gets from all windows that it is in. Sums are double, as in the numba row. Windows with many
// pixels, such as whole images, have more than one thread (`forward_together`).

#include "windows.cuh"

// How many cells of window i count, in one direction.
__device__ inline long long cells(Span inside, int i, int k, int stride, int padding, int size, bool with_padding) {
  long long first = (long long)i * stride - padding;
  return with_padding ? min(first + k, (long long)size + padding) - first : inside.end - inside.first;
}

// Window (i, j): its rows and columns in the image, and 1/D.
template <typename T>
struct Window {
  Span rows, columns;
  T weight;
};

template <typename T>
__device__ inline Window<T> window(int i, int j, long long divisor, const Pool& g) {
  Span rows = in_window(i, g.kh, g.sh, g.ph, 1, g.h, g.oh, g.adaptive);
  Span columns = in_window(j, g.kw, g.sw, g.pw, 1, g.w, g.ow, g.adaptive);
  if (divisor == 0) {  // none is given
    divisor = cells(rows, i, g.kh, g.sh, g.ph, g.h, g.count_include_pad) *
              cells(columns, j, g.kw, g.sw, g.pw, g.w, g.count_include_pad);
    divisor = max(divisor, 1LL);  // no pixel in the window: the sum is 0, and so is the mean
  }
  return {rows, columns, T(1) / divisor};
}

template <typename T>
__global__ void forward(const T* x, Strides xs, T* y, bool channels_last, long long divisor, Pool g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.oh * g.ow) return;
  Place e = place(at, g.c, g.oh, g.ow, channels_last);
  Window<T> own = window<T>(e.i, e.j, divisor, g);
  const T* image = x + e.n * xs.n + e.c * xs.c;
  double sum = 0;
  for (int p = own.rows.first; p < own.rows.end; p++)
    for (int q = own.columns.first; q < own.columns.end; q++) sum += image[p * xs.h + q * xs.w];
  y[at] = sum * own.weight;
}

// What is different from `forward`: several threads for each window, its helpers, whose sums are added up.
template <typename T>
__global__ void forward_together(const T* x, Strides xs, T* y, bool channels_last, long long divisor, Pool g,
                                 long long width) {
  Helper own = helper_of_window(g, channels_last, width);
  double sum = 0, unused = 0, weight = 0;
  if (own.there) {
    Place e = place(own.at, g.c, g.oh, g.ow, channels_last);
    Window<T> here = window<T>(e.i, e.j, divisor, g);
    weight = here.weight;
    const T* image = x + e.n * xs.n + e.c * xs.c;
    each_pixel(here.rows, here.columns, own, [&](int p, int q) { sum += image[p * xs.h + q * xs.w]; });
  }
  group_sums(sum, unused, own.width, own.per);
  if (own.there && own.number == 0) y[own.at] = sum * weight;
}

template <typename T>
__global__ void backward(const T* gy, Strides ys, T* gx, bool channels_last, long long divisor, Pool g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.h * g.w) return;
  Place e = place(at, g.c, g.h, g.w, channels_last);
  Span rows = with_pixel(e.i, g.kh, g.sh, g.ph, 1, g.h, g.oh, g.adaptive);
  Span columns = with_pixel(e.j, g.kw, g.sw, g.pw, 1, g.w, g.ow, g.adaptive);
  const T* up = gy + e.n * ys.n + e.c * ys.c;
  double sum = 0;
  for (int i = rows.first; i < rows.end; i++)
    for (int j = columns.first; j < columns.end; j++)
      sum += up[i * ys.h + j * ys.w] * window<T>(i, j, divisor, g).weight;
  gx[at] = sum;
}
