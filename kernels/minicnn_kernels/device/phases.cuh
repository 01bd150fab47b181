// Which filter rows see a row of x; the same along the columns.
#pragma once

// Row p of x is under filter row a in output row i = (p + padding - a*dilation) / stride, if that is a whole number. It
// is one for a = first, first + step, first + 2*step ..., which are `count` rows of the filter, and depends only on
// (p + padding) % stride, the phase of p. With each further one, i is `back` smaller.
struct Phase {
  int first, step, count, back;
};

// p: the row of x, or any other of its phase, plus the padding.
__device__ inline Phase phase_of(int p, int size, int stride, int dilation) {
  Phase found = {0, 1, 0, 0};
  while ((p - found.first * dilation) % stride)
    if (++found.first == size) return {0, 1, 0, 0};
  while (found.step < size && (long long)found.step * dilation % stride) found.step++;
  found.count = (size - found.first - 1) / found.step + 1;
  if (found.count > 1) found.back = (long long)found.step * dilation / stride;
  return found;
}
