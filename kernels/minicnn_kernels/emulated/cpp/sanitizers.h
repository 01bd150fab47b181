// Built with -fsanitize=thread, the sanitizer sees each fiber as a thread, ordered by barriers alone, and finds races.
// Built with -fsanitize=address, it finds accesses outside shared memory, and outside arrays on the kernel's stack.
#pragma once
#include <cstddef>
#include <cstdint>

#ifdef __SANITIZE_THREAD__
extern "C" {
void* __tsan_create_fiber(unsigned);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_destroy_fiber(void*);
void* __tsan_get_current_fiber();
void __tsan_acquire(void*);
void __tsan_release(void*);
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#define FOR_TSAN(...) __VA_ARGS__
#else
#define FOR_TSAN(...)
#endif

#ifdef __SANITIZE_ADDRESS__
extern "C" {
void __asan_poison_memory_region(void const volatile*, size_t);
void __asan_unpoison_memory_region(void const volatile*, size_t);
}
#define FOR_ASAN(...) __VA_ARGS__
#else
#define FOR_ASAN(...)
#endif

namespace emulated {

// The emulator's own memory accesses, between these two calls, are no business of the thread sanitizer.
static inline void enter_emulator() { FOR_TSAN(AnnotateIgnoreReadsBegin("", 0); AnnotateIgnoreWritesBegin("", 0);) }
static inline void leave_emulator() { FOR_TSAN(AnnotateIgnoreReadsEnd("", 0); AnnotateIgnoreWritesEnd("", 0);) }
static inline void happens_before(uint64_t* mark) {
  (void)mark;
  FOR_TSAN(__tsan_release(mark);)
}
static inline void happens_after(uint64_t* mark) {
  (void)mark;
  FOR_TSAN(__tsan_acquire(mark);)
}

}  // namespace emulated
