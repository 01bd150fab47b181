// Asynchronous copies to shared memory and the matrix products of tensor cores: the only file with PTX, the language
// below CUDA C++. Each has two bodies, for a GPU (sm_80 and later) and for the CPU. Kernels use these names only.
//
//     DYNAMIC_SHARED(float, tile);               shared memory whose size is given at the launch
//     copy_async16(to, from, there);             16 bytes to shared memory, or zeros if not `there`; both aligned to 16
//     end_group_of_copies();                     the copies since the last call are a group
//     wait_for_copies<N>();                      until all groups but the last N are done; then __syncthreads
//     LOAD_MATRICES(bits, row);                  four 8x8 matrices of 16 bits, or 8x4 of 32: lane i points to row i
//     MULTIPLY_TF32(d, a, b);                    D (16x8) += A (16x8) B (8x8), by a warp
//     to_tf32(x);                                the bits of x rounded to TF32: 10 bits behind the point
#pragma once

#ifdef __CUDACC__

#ifdef __CUDACC_RTC__
typedef unsigned int uint32_t;
#else
#include <cstdint>
#endif
#define DYNAMIC_SHARED(type, name)                                 \
  extern __shared__ __align__(128) unsigned char dynamic_shared[]; \
  type* name = reinterpret_cast<type*>(dynamic_shared)
#define LOAD_MATRICES(bits, row) load_matrices(bits, row)
#define MULTIPLY_TF32(d, a, b) multiply_tf32(d, a, b)

__device__ inline uint32_t place_in_shared(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }

__device__ inline void copy_async16(void* to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place_in_shared(to)), "l"(from),
               "r"(there ? 16 : 0)
               : "memory");
}
__device__ inline void end_group_of_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
__device__ inline uint32_t to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}
__device__ inline void load_matrices(uint32_t (&bits)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(bits[0]), "=r"(bits[1]), "=r"(bits[2]), "=r"(bits[3])
               : "r"(place_in_shared(row))
               : "memory");
}
__device__ inline void multiply_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else  // on the CPU

#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(emulated::block->shared)
#define LOAD_MATRICES(bits, row) emulated::load_matrices(bits, row, __LINE__)
#define MULTIPLY_TF32(d, a, b) emulated::multiply_tf32(d, a, b, __LINE__)

static inline void copy_async16(void* to, const void* from, bool there) {
  emulated::copy_async(to, from, 16, there ? 16 : 0);
}
static inline void end_group_of_copies() { emulated::end_group_of_copies(); }
template <int N>
static inline void wait_for_copies() {
  emulated::wait_for_copies(N);
}
static inline uint32_t to_tf32(float x) {  // to the nearest, ties away from zero
  return (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
}

#endif
