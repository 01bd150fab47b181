// PReLU. Equations and legend: activations/prelu.py.
// kernels: forward, backward, add_parts
// registers: 56
//
// What is different from the numba row: forward has a thread for each 4 values. In backward, the sum of a channel is
// cut into parts; the sums of the parts are written down and added up by a second kernel, always in the same order.
//
// x consists of runs of `run` neighbours in memory; run r belongs to channel r mod C.

#include "elementwise.cuh"

template <typename T>
__global__ void forward(const T* __restrict__ x, const T* __restrict__ w, T* __restrict__ y, long long count,
                        long long run, long long channels) {
  each_place(first_place(), count, [=](long long i) {
    T slope = w[channels == 1 ? 0 : i / run % channels];
    y[i] = x[i] > 0 ? x[i] : slope * x[i];
  });
}

// A part is `length` of the values of one channel. If the runs are long, a warp takes it, and its lanes take neighbours
// in the runs. If a run is one value, neighbours in memory belong to neighbouring channels: then a thread takes a part,
// and its neighbours the same part of the neighbouring channels. `lanes` is 32 or 1.
template <typename T>
__global__ void backward(const T* __restrict__ gy, const T* __restrict__ x, const T* __restrict__ w, T* __restrict__ gx,
                         double* __restrict__ sums, long long run, long long channels, long long values,
                         long long length, long long parts, int lanes) {
  long long at = thread_number() / lanes, c = at % channels, part = at / channels;
  if (part >= parts) return;  // with 32 lanes, a whole warp leaves
  T slope = w[c];
  double sum = 0;
  long long end = min((part + 1) * length, values);
  for (long long j = part * length + threadIdx.x % lanes; j < end; j += lanes) {  // value j of the channel
    long long i = channels == 1 ? j : (j / run * channels + c) * run + j % run;
    T g = gy[i], v = x[i];
    if (gx) gx[i] = v > 0 ? g : slope * g;
    sum += v > 0 ? T(0) : v * g;
  }
  if (lanes == 32) sum = warp_sum(sum);
  if (sums && threadIdx.x % lanes == 0) sums[c * parts + part] = sum;
}

// A warp for each channel.
template <typename T>
__global__ void add_parts(const double* sums, T* gw, long long channels, long long parts) {
  long long c = thread_number() / 32;
  if (c >= channels) return;
  double sum = 0;
  for (long long part = threadIdx.x % 32; part < parts; part += 32) sum += sums[c * parts + part];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) gw[c] = sum;
}
