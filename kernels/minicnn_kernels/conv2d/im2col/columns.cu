// Image to column and back. Equations and legend: conv2d/im2col/columns.py.
// kernels: im2col, col2im
// registers: 64
//
// What is different from the loops in Python: a thread for each element of the result. For col2im this turns the
// question around. The loops add each number of a column to its pixel; two threads could then add to one pixel at the
// same time. Here the thread of a pixel looks for all columns that have it.
//
// The windows are those of `rows` output rows of each image, from row i0 on: P = rows*OW of them. The columns lie in
// memory as (N, C, KH, KW, P), or with `inside`, for images in channels-last memory, as (N, G, P, KH, KW, C/G). So
// neighbouring threads read and write neighbours in both orders.

#include "phases.cuh"
#include "threads.cuh"

template <typename T>
__global__ void im2col(const T* x, Strides xs, T* col, Conv g, bool inside, long long i0, long long rows) {
  long long e = thread_number();
  int cg = g.c / g.groups, n, c, a, b, i, j;
  if (e >= (long long)g.n * g.c * g.kh * g.kw * rows * g.ow) return;
  long long left = e;
  if (inside) {
    c = left % cg, left /= cg;
    b = left % g.kw, left /= g.kw;
    a = left % g.kh, left /= g.kh;
    j = left % g.ow, left /= g.ow;
    i = left % rows, left /= rows;
    c += left % g.groups * cg, n = left / g.groups;
  } else {
    j = left % g.ow, left /= g.ow;
    i = left % rows, left /= rows;
    b = left % g.kw, left /= g.kw;
    a = left % g.kh, left /= g.kh;
    c = left % g.c, n = left / g.c;
  }
  long long p = (i0 + i) * g.sh - g.ph + a * g.dh, q = (long long)j * g.sw - g.pw + b * g.dw;
  bool in_image = p >= 0 && p < g.h && q >= 0 && q < g.w;
  col[e] = in_image ? x[n * xs.n + c * xs.c + p * xs.h + q * xs.w] : T(0);
}

// `add`: to what is in x already, from the rows above i0.
template <typename T>
__global__ void col2im(const T* col, T* x, Strides xs, Conv g, bool inside, long long i0, long long rows, bool add) {
  long long e = thread_number();
  if (e >= (long long)g.n * g.c * g.h * g.w) return;
  int cg = g.c / g.groups, n, c, p, q;
  if (inside) {
    c = e % g.c, q = e / g.c % g.w, p = e / g.c / g.w % g.h, n = e / g.c / g.w / g.h;
  } else {
    q = e % g.w, p = e / g.w % g.h, c = e / g.w / g.h % g.c, n = e / g.w / g.h / g.c;
  }
  Phase high = phase_of(p + g.ph, g.kh, g.sh, g.dh), wide = phase_of(q + g.pw, g.kw, g.sw, g.dw);
  T* to = x + n * xs.n + c * xs.c + p * xs.h + q * xs.w;
  T sum = add ? *to : T(0);
  for (int s = 0; s < high.count; s++) {
    int a = high.first + s * high.step;
    long long i = (p + g.ph - a * g.dh) / g.sh - i0;
    if (i < 0 || i >= rows) continue;
    for (int t = 0; t < wide.count; t++) {
      int b = wide.first + t * wide.step, j = (q + g.pw - b * g.dw) / g.sw;
      if (j < 0 || j >= g.ow) continue;
      long long window = i * g.ow + j, windows = rows * g.ow, group = (long long)n * g.groups + c / cg;
      if (inside)
        sum += col[(((group * windows + window) * g.kh + a) * g.kw + b) * cg + c % cg];
      else
        sum += col[((((long long)n * g.c + c) * g.kh + a) * g.kw + b) * windows + window];
    }
  }
  *to = sum;
}
