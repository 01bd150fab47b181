// Dropout. Equations and legend: dropout.py.
// kernels: neighbours, places
// registers: 40
//
// What is different from the numba row: a thread for each 4 values. In `neighbours` they are those of one counter, and
// in `places` any others (device/elementwise.cuh), each with a counter of its own. Memory is as `Memory` in dropout.py
// says: element (n, c, p) is at (n * pixels + p) * channels + c.

#include "elementwise.cuh"
#include "neighbours.cuh"
#include "philox.cuh"

template <typename T>
__device__ inline T kept_or_dropped(T value, bool kept, double scale, double shift, double low) {
  return value * (kept ? T(scale) : T(0)) + (kept ? T(shift) : T(low));
}

// A decision for each element: the 4 neighbours along the pixels, in one channel. With several channels, neighbouring
// threads have neighbouring channels, and `pixels` is a multiple of 4.
template <typename T>
__global__ void neighbours(const T* x, T* y, long long count, long long channels, long long pixels,
                           unsigned long long key, long long least, double scale, double shift, double low) {
  long long thread = thread_number();
  if (thread * 4 >= count) return;
  long long counter = thread, place = thread * 4;  // for C order
  if (channels > 1) {
    long long fours = pixels / 4, row = thread / channels, c = thread - row * channels, n = row / fours;
    counter = (n * channels + c) * fours + row - n * fours;
    place = row * 4 * channels + c;
  }
  T values[4];
  if (channels == 1) {
    read_neighbours(x + place, values, count - place);
  } else {
#pragma unroll
    for (int k = 0; k < 4; k++) values[k] = x[place + k * channels];
  }
  Words words = four_words(counter, key);
#pragma unroll
  for (int k = 0; k < 4; k++) values[k] = kept_or_dropped(values[k], words.w[k] >= least, scale, shift, low);
  if (channels == 1) {
    write_neighbours(y + place, values, count - place);
  } else {
#pragma unroll
    for (int k = 0; k < 4; k++) y[place + k * channels] = values[k];
  }
}

// a / b, by the shorter instructions for 32 bits where that is the same.
__device__ inline long long quotient(long long a, long long b) {
  return (a | b) >> 32 ? a / b : (long long)((unsigned)a / (unsigned)b);
}

// `together` elements share a decision.
template <typename T>
__global__ void places(const T* x, T* y, long long count, long long channels, long long pixels, long long together,
                       unsigned long long key, long long least, double scale, double shift, double low) {
  long long first = first_place();
  T values[EACH];
#pragma unroll
  for (int k = 0; k < EACH; k++)
    if (first + k * blockDim.x < count) values[k] = x[first + k * blockDim.x];
#pragma unroll
  for (int k = 0; k < EACH; k++) {
    long long place = first + k * blockDim.x, i = place;  // i: along the axes
    if (place >= count) break;
    if (channels > 1) {
      long long pixel = quotient(place, channels), c = place - pixel * channels, n = quotient(pixel, pixels);
      i = (n * channels + c) * pixels + pixel - n * pixels;
    }
    y[place] = kept_or_dropped(values[k], word(quotient(i, together), key) >= least, scale, shift, low);
  }
}
