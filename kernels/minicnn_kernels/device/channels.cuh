// Two ways through memory (rows, C, S) in which every channel has numbers of its own: sums over channels, and a pass
// over all values.
//
// In NCHW memory S = H*W, and a run of S values has one channel: threads side by side go along the run. In
// channels-last memory, and for (N, C), S = 1, and a row has a value of each channel: threads side by side have
// channels side by side. A tile is the channels that a block has; the Python side chooses how many tiles there are.
#pragma once
#include "group_sums.cuh"

const int EACH = 8;  // values that a thread has in `each_value`

// The sums of what `add` adds to a and b for the values of each channel; in each thread first begin(c), for what has to
// be read or computed once. Blocks (tiles or channels, parts) add up a part of a channel each: partial[c][0] has their
// `parts` sums of a, partial[c][1] those of b. Another kernel adds these up (`total`), since blocks do not know when
// the others are done.
template <typename Begin, typename Add>
__device__ inline void channel_sums(double* partial, const Channels& v, Begin begin, Add add) {
  int t = threadIdx.x, part = blockIdx.y, parts = gridDim.y, c = blockIdx.x, width = BLOCK;
  double a = 0, b = 0;
  if (v.size > 1) {
    long long step = (long long)BLOCK * parts, k = (long long)BLOCK * part + t, row = k / v.size, s = k % v.size;
    begin(c);
    while (row < v.rows) {
      add((row * v.channels + c) * v.size + s, row, a, b);
      row += step / v.size;
      s += step % v.size;
      if (s >= v.size) s -= v.size, row++;
    }
  } else {
    width = (v.channels + v.tiles - 1) / v.tiles;
    int together = BLOCK / width;
    c = c * width + t % width;
    if (t < together * width && c < v.channels) {
      begin(c);
      for (long long row = part * together + t / width; row < v.rows; row += together * parts)
        add(row * v.channels + c, row, a, b);
    }
  }
  group_sums(a, b, width, v.size > 1 ? BLOCK : 1);
  if (v.size > 1 ? t > 0 : t >= width || c >= v.channels) return;
  partial[2LL * c * parts + part] = a;
  partial[(2LL * c + 1) * parts + part] = b;
}

// The two sums of a channel, in each lane of a warp.
__device__ inline void total(const double* partial, long long parts, long long c, double& a, double& b) {
  a = b = 0;
  for (long long part = threadIdx.x % 32; part < parts; part += 32) {
    a += partial[2 * c * parts + part];
    b += partial[(2 * c + 1) * parts + part];
  }
  a = warp_sum(a);
  b = warp_sum(b);
}

// In each thread: begin(c) once, then value(at) for up to EACH values of the channel. A warp goes along a run, or a
// block takes `together` rows at once.
template <typename Begin, typename Value>
__device__ inline void each_value(const Channels& v, Begin begin, Value value) {
  int t = threadIdx.x;
  if (v.size > 1) {
    int pieces = (v.size + 32 * EACH - 1) / (32 * EACH);
    long long warp = thread_number() / 32, run = warp / pieces;
    if (run >= (long long)v.rows * v.channels) return;
    long long first = warp % pieces * 32 * EACH, end = min(first + 32 * EACH, (long long)v.size);
    begin(int(run % v.channels));
    for (long long s = first + t % 32; s < end; s += 32) value(run * v.size + s);
  } else {
    int width = (v.channels + v.tiles - 1) / v.tiles, together = BLOCK / width;
    int c = blockIdx.x % v.tiles * width + t % width;
    if (t >= together * width || c >= v.channels) return;
    long long first = (long long)(blockIdx.x / v.tiles) * together * EACH;
    long long end = min(first + together * EACH, (long long)v.rows);
    begin(c);
    for (long long row = first + t / width; row < end; row += together) value(row * v.channels + c);
  }
}
