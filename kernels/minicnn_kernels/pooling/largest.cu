// Max pooling: the largest value of each window and its place, and the backward pass.
// Equations and legend: pooling/__init__.py.
// kernels: forward, forward_together, backward
// registers: 48
//
// What is different from the python row: a thread for each output. In the backward pass it is a thread for each pixel,
// which looks for itself in the windows that it is in: where `index` names it, it takes the gradient. Windows overlap,
// so threads for the windows would write to the same pixels; here each pixel is written once, and the sum is always in
// the same order. Windows with many pixels, such as whole images, have more than one thread (`forward_together`).

#include "windows.cuh"

template <typename T>
__global__ void forward(const T* x, Strides xs, T* y, int* index, bool channels_last, Pool g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.oh * g.ow) return;
  Place e = place(at, g.c, g.oh, g.ow, channels_last);
  Span rows = in_window(e.i, g.kh, g.sh, g.ph, g.dh, g.h, g.oh, g.adaptive);
  Span columns = in_window(e.j, g.kw, g.sw, g.pw, g.dw, g.w, g.ow, g.adaptive);
  const T* image = x + e.n * xs.n + e.c * xs.c;
  T best = -INFINITY;
  int where = -1;
  for (long long p = rows.first; p < rows.end; p += rows.step)  // a dilation may be larger than any image
    for (long long q = columns.first; q < columns.end; q += columns.step) {
      T value = image[p * xs.h + q * xs.w];
      // of several largest values the first, of several NaN the last; and -Inf, which is not larger than `best`
      if (value > best || value != value || where < 0) best = value, where = p * g.w + q;
    }
  y[at] = best;
  index[at] = where;
}

// A value and its place; nothing at place -1.
template <typename T>
struct Found {
  T value;
  int where;
};

// Which of two the loop of `forward` would keep, whichever it meets first: of two equal values the one with the smaller
// place, of two NaN the one with the larger place.
template <typename T>
__device__ inline Found<T> kept(Found<T> a, Found<T> b) {
  if (a.where < 0 || b.where < 0) return a.where < 0 ? b : a;
  bool a_nan = a.value != a.value, b_nan = b.value != b.value;
  if (a_nan && b_nan) return a.where > b.where ? a : b;
  if (a_nan || b_nan) return a_nan ? a : b;
  if (a.value == b.value) return a.where < b.where ? a : b;
  return a.value > b.value ? a : b;
}

// What is different from `forward`: several threads for each window, its helpers. Each finds the largest of its pixels;
// then they compare what they have found.
template <typename T>
__global__ void forward_together(const T* x, Strides xs, T* y, int* index, bool channels_last, Pool g,
                                 long long width) {
  Helper own = helper_of_window(g, channels_last, width);
  Found<T> best = {T(-INFINITY), -1};
  if (own.there) {
    Place e = place(own.at, g.c, g.oh, g.ow, channels_last);
    Span rows = in_window(e.i, g.kh, g.sh, g.ph, g.dh, g.h, g.oh, g.adaptive);
    Span columns = in_window(e.j, g.kw, g.sw, g.pw, g.dw, g.w, g.ow, g.adaptive);
    const T* image = x + e.n * xs.n + e.c * xs.c;
    each_pixel(rows, columns, own, [&](int p, int q) {
      T value = image[p * xs.h + q * xs.w];
      if (value > best.value || value != value || best.where < 0) best = {value, p * g.w + q};
    });
  }
  best = group_result(best, own.width, own.per, kept<T>);
  if (!own.there || own.number) return;
  y[own.at] = best.value;
  index[own.at] = best.where;
}

template <typename T>
__global__ void backward(const T* gy, const int* index, Strides ys, T* gx, bool channels_last, Pool g) {
  long long at = thread_number();
  if (at >= (long long)g.n * g.c * g.h * g.w) return;
  Place e = place(at, g.c, g.h, g.w, channels_last);
  Span rows = with_pixel(e.i, g.kh, g.sh, g.ph, g.dh, g.h, g.oh, g.adaptive);
  Span columns = with_pixel(e.j, g.kw, g.sw, g.pw, g.dw, g.w, g.ow, g.adaptive);
  long long plane = e.n * ys.n + e.c * ys.c;
  int here = e.i * g.w + e.j;
  double sum = 0;
  for (int i = rows.first; i < rows.end; i++)
    for (int j = columns.first; j < columns.end; j++) {
      long long window = plane + i * ys.h + j * ys.w;
      if (index[window] == here) sum += gy[window];
    }
  gx[at] = sum;
}
