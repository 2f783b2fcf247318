// Denormals count as zero in kernels: they cost up to 20x on a CPU and teach nothing. f32 results
// below the smallest normal number become zero, and operands there count as zero, on every device;
// what is only moved (copies, negation, the larger of two) may pass one on. f64 likewise on the
// CPU; a GPU has no such mode for f64 and keeps them.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pare {

// For the running thread, while one lives.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(uint32_t(saved_) | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(uint32_t(saved_)); }
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | uint64_t(1) << 24) : "memory");
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_) : "memory"); }
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint64_t saved_ = 0;
};

}  // namespace pare
