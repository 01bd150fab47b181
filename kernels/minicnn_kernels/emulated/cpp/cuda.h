// CUDA C++ on the CPU: included before a kernel's own text, it gives g++ the words that CUDA has and C++ has not.
//
// The same text is compiled by NVRTC for a GPU. Needs Linux on x86-64, g++ and OpenMP; no CUDA toolkit.
#pragma once
#include "copies_and_tensor_cores.h"
#include "launch.h"
#include "numbers.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict

#define threadIdx (emulated::block->current->index)
#define blockIdx (emulated::block->index)
#define blockDim (emulated::block->size)
#define gridDim (emulated::block->grid)
enum { warpSize = 32 };

// -------------------------------------------------------------------------------- what a kernel is called with

namespace emulated {

template <class T>
static std::string kind_of() {  // as NumPy writes types: f4, i8, u1, b1; {48} a struct of 48 bytes
  std::string bytes = std::to_string(sizeof(T));
  if (std::is_same<T, bool>::value) return "b" + bytes;
  if (std::is_floating_point<T>::value) return "f" + bytes;
  if (std::is_integral<T>::value) return (std::is_signed<T>::value ? "i" : "u") + bytes;
  return "{" + bytes + "}";
}
template <>
std::string kind_of<void>() {
  return "?";
}

// A parameter: "f4" a float, "*f4" a pointer to floats that may be written, "&f4" a pointer to const floats; "&*f4" is
// a table of const pointers to floats that may be written.
template <class T>
static std::string parameter() {
  using Pointed = std::remove_pointer_t<T>;
  if constexpr (std::is_pointer<T>::value)
    return (std::is_const<Pointed>::value ? "&" : "*") + parameter<std::remove_const_t<Pointed>>();
  else
    return kind_of<T>();
}

// The parameters of a kernel, separated by spaces.
template <class... A>
static const char* parameters(void (*)(A...)) {
  static std::string text;
  text.clear();
  ((text += parameter<A>() + " "), ...);
  return text.c_str();
}

}  // namespace emulated
