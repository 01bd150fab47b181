// CUDA's vector types, bit operations, fast functions, and assert.
#pragma once
#include "together.h"

#define DEFINE_VECTORS(type, name, align2, align4)                                   \
  struct name##1 { type x; };                                                        \
  struct alignas(align2) name##2 { type x, y; };                                     \
  struct name##3 { type x, y, z; };                                                  \
  struct alignas(align4) name##4 { type x, y, z, w; };                               \
  static inline name##1 make_##name##1(type x) { return {x}; }                       \
  static inline name##2 make_##name##2(type x, type y) { return {x, y}; }            \
  static inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; } \
  static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
DEFINE_VECTORS(float, float, 8, 16)
DEFINE_VECTORS(double, double, 16, 16)
DEFINE_VECTORS(int, int, 8, 16)
DEFINE_VECTORS(long long, longlong, 16, 16)
DEFINE_VECTORS(unsigned char, uchar, 2, 4)
DEFINE_VECTORS(signed char, char, 2, 4)
DEFINE_VECTORS(short, short, 4, 8)
#undef DEFINE_VECTORS
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;
static inline float rsqrtf(float x) { return 1 / sqrtf(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
static inline double rsqrt(double x) { return 1 / std::sqrt(x); }
static inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }

// On a GPU these are fast, and less exact. The C library has some of the names for itself, so they are macros here.
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frsqrt_rn(float x) { return rsqrtf(x); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frcp_rn(float x) { return 1 / x; }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fdiv_rn(float x, float y) { return x / y; }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
#define __expf(...) expf(__VA_ARGS__)
#define __exp10f(...) powf(10.f, __VA_ARGS__)
#define __logf(...) logf(__VA_ARGS__)
#define __log2f(...) log2f(__VA_ARGS__)
#define __log10f(...) log10f(__VA_ARGS__)
#define __powf(...) powf(__VA_ARGS__)
#define __sinf(...) sinf(__VA_ARGS__)
#define __cosf(...) cosf(__VA_ARGS__)
#define __tanf(...) tanf(__VA_ARGS__)
#define __sincosf(...) sincosf(__VA_ARGS__)

static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
static inline int __ffs(int bits) { return __builtin_ffs(bits); }
static inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
static inline int __clz(int bits) { return bits ? __builtin_clz(bits) : 32; }
static inline int __clzll(long long bits) { return bits ? __builtin_clzll(bits) : 64; }
static inline unsigned __brev(unsigned bits) {
  unsigned turned = 0;
  for (int i = 0; i < 32; i++) turned |= (bits >> i & 1) << (31 - i);
  return turned;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __mulhi(int a, int b) { return (int)((int64_t)a * b >> 32); }
static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline int __float2int_rz(float x) { return (int)x; }
static inline float __int2float_rn(int x) { return x; }

namespace emulated {
template <class To, class From>
static inline To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From), "the bits of another type");
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}
}  // namespace emulated
static inline unsigned __float_as_uint(float value) { return emulated::bits_as<unsigned>(value); }
static inline int __float_as_int(float value) { return emulated::bits_as<int>(value); }
static inline float __uint_as_float(unsigned bits) { return emulated::bits_as<float>(bits); }
static inline float __int_as_float(int bits) { return emulated::bits_as<float>(bits); }
static inline long long __double_as_longlong(double value) { return emulated::bits_as<long long>(value); }
static inline double __longlong_as_double(long long bits) { return emulated::bits_as<double>(bits); }

template <class T>
static inline T __ldg(const T* place) {
  return *place;
}
template <class T>
static inline T __ldcg(const T* place) {
  return *place;
}
template <class T>
static inline void __stcg(T* place, T value) {
  *place = value;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}

#define __trap() emulated::fail("__trap", __LINE__)
#include "assert.h"
