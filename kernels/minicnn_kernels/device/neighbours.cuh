// Four neighbours in memory: 16 bytes in one instruction where they begin at a multiple of 16 bytes.
#pragma once

__device__ inline bool at_16_bytes(const void* place) { return (unsigned long long)place % 16 == 0; }

__device__ inline void read_16_bytes(const float* from, float* v) {
  float4 found = __ldg((const float4*)from);
  v[0] = found.x, v[1] = found.y, v[2] = found.z, v[3] = found.w;
}
__device__ inline void read_16_bytes(const double* from, double* v) {
  double2 found = __ldg((const double2*)from);
  v[0] = found.x, v[1] = found.y;
}

// A plain assignment would not stay one instruction: if another branch writes the same numbers one by one, the compiler
// makes both branches the same.
__device__ inline void write_16_bytes(float* to, const float* v) {
  __stcg((float4*)to, make_float4(v[0], v[1], v[2], v[3]));
}
__device__ inline void write_16_bytes(double* to, const double* v) { __stcg((double2*)to, make_double2(v[0], v[1])); }

// Four neighbours, or the first `count` of them.
template <typename T>
__device__ inline void read_neighbours(const T* from, T (&values)[4], long long count) {
  const int each = 16 / sizeof(T);
  if (count >= 4 && at_16_bytes(from)) {
#pragma unroll
    for (int e = 0; e < 4; e += each) read_16_bytes(from + e, values + e);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++) values[e] = e < count ? from[e] : T(0);
  }
}

template <typename T>
__device__ inline void write_neighbours(T* to, const T (&values)[4], long long count) {
  const int each = 16 / sizeof(T);
  if (count >= 4 && at_16_bytes(to)) {
#pragma unroll
    for (int e = 0; e < 4; e += each) write_16_bytes(to + e, values + e);
  } else {
#pragma unroll
    for (int e = 0; e < 4; e++)
      if (e < count) to[e] = values[e];
  }
}
