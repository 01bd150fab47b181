// Where an element of an image is in memory, and which rows or columns the windows of pooling have.
#pragma once
#include "group_sums.cuh"

// An element of images (N, C, H, W).
struct Place {
  int n, c, i, j;
};

// The element that is number `at` in memory. Neighbouring numbers are neighbours in memory, in both orders of memory:
// so threads that take an element each read and write whole lines of it.
__device__ inline Place place(long long at, int channels, int height, int width, bool channels_last) {
  Place e;
  if (channels_last) e.c = at % channels, at /= channels;
  e.j = at % width, at /= width;
  e.i = at % height, at /= height;
  if (!channels_last) e.c = at % channels, at /= channels;
  e.n = at;
  return e;
}

// The numbers first, first + step, ... before end.
struct Span {
  int first, end, step;
};

// The rows (or columns) of the image that window i has.
__device__ inline Span in_window(int i, int k, int stride, int padding, int dilation, int size, int outputs,
                                 bool adaptive) {
  if (adaptive) return {int((long long)i * size / outputs), int(((i + 1LL) * size + outputs - 1) / outputs), 1};
  long long first = (long long)i * stride - padding, end = first + (k - 1LL) * dilation + 1;
  if (first < 0) first += (dilation - 1 - first) / dilation * dilation;
  return {int(min(first, (long long)size)), int(min(end, (long long)size)), dilation};
}

// The windows that may have row (or column) p of the image; all of them have it if the dilation is 1.
__device__ inline Span with_pixel(int p, int k, int stride, int padding, int dilation, int size, int outputs,
                                  bool adaptive) {
  if (adaptive) return {int((long long)p * outputs / size), int(((p + 1LL) * outputs + size - 1) / size), 1};
  long long last = (long long)p + padding, first = last - (k - 1LL) * dilation;
  return {int(first <= 0 ? 0 : (first + stride - 1) / stride), int(min(last / stride + 1, (long long)outputs)), 1};
}

// ------------------------------------------------------------------------------------ several threads for a window

// What a thread has of a large window: it is a helper, one of several that take the window's pixels in turn.
struct Helper {
  long long at;  // the number of the output in memory
  bool there;    // whether the thread has a window; if not, it only waits at the barriers
  int number, count;
  int width, per;  // the group of the window's helpers, as in group_sums.cuh
};

// Threads side by side read pixels side by side: in NCHW memory `width` of them have one window, and a block has
// BLOCK / width windows; in channels-last memory `width` of them have the same pixel in as many channels of one window.
__device__ inline Helper helper_of_window(const Pool& g, bool channels_last, long long width) {
  int t = threadIdx.x, many = BLOCK / width, row = t / width, column = t % width, tiles = (g.c + width - 1) / width;
  if (channels_last) {
    long long c = blockIdx.x % tiles * width + column;
    return {blockIdx.x / tiles * (long long)g.c + c, c < g.c && row < many, row, many, (int)width, 1};
  }
  long long at = blockIdx.x * (long long)many + row;
  return {at, at < (long long)g.n * g.c * g.oh * g.ow, column, (int)width, BLOCK, (int)width};
}

// f(p, q) for the pixels of a window that are the helper's, in reading order.
template <typename F>
__device__ inline void each_pixel(const Span& rows, const Span& columns, const Helper& own, F f) {
  int wide = (columns.end - columns.first + columns.step - 1) / columns.step;
  int high = (rows.end - rows.first + rows.step - 1) / rows.step;
  for (long long k = own.number; k < (long long)wide * high; k += own.count)
    f(int(rows.first + k / wide * rows.step), int(columns.first + k % wide * columns.step));
}
