// Sums and other results over the threads of a block, in groups.
#pragma once
#include "threads.cuh"

const int BLOCK = 256;  // threads of a block whose threads work together

// Replaces a and b of each thread by their sums over the thread's group, in double and always in the same order.
//
// Thread t has column t % width, and `per` columns side by side are a group: per = width makes one group of the whole
// block, per = 1 a group of each column. All BLOCK threads must call it; those behind the last whole row of columns are
// in no group.
__device__ inline void group_sums(double& a, double& b, int width, int per) {
  __shared__ double of_a[BLOCK], of_b[BLOCK], total_a[BLOCK], total_b[BLOCK];
  int t = threadIdx.x, rows = BLOCK / width;
  of_a[t] = a;
  of_b[t] = b;
  __syncthreads();
  for (int group = t / 32; group < width / per; group += BLOCK / 32) {  // a warp for each group
    double sum_a = 0, sum_b = 0;
    for (int k = t % 32; k < rows * per; k += 32) {
      int thread = k / per * width + group * per + k % per;
      sum_a += of_a[thread];
      sum_b += of_b[thread];
    }
    sum_a = warp_sum(sum_a);
    sum_b = warp_sum(sum_b);
    if (t % 32 == 0) total_a[group] = sum_a, total_b[group] = sum_b;
  }
  __syncthreads();
  a = total_a[t % width / per];
  b = total_b[t % width / per];
}

// The result of combine(a, b) for the values of all threads of a group, which are as in `group_sums`. It must not
// depend on the order of the values, as the largest of them does not.
template <typename V, typename Combine>
__device__ inline V group_result(V value, int width, int per, Combine combine) {
  __shared__ V of[BLOCK];
  int t = threadIdx.x, rows = BLOCK / width, first = t % width / per * per, member = t / width * per + t % width % per;
  of[t] = value;
  for (int left = rows * per; left > 1; left = (left + 1) / 2) {  // the upper half to the lower one
    __syncthreads();
    int other = member + (left + 1) / 2;
    if (t < rows * width && other < left) of[t] = combine(of[t], of[other / per * width + first + other % per]);
  }
  __syncthreads();
  value = of[first];
  __syncthreads();  // before another call writes
  return value;
}
