// BFloat16: a storage type. Arithmetic is done in float; conversions round to nearest, ties to
// even. to_tf32 rounds a float to the 10 bits of mantissa that tensor cores use, ties away from
// zero.
//
// Infinities stay, and every NaN stays one: a GPU makes 0x7fffffff, which a plain addition would
// carry into the sign. cvt.rna.tf32 does it all but takes four instructions on sm_90; tensor cores
// do not look at the lowest 13 bits, so two do, and leave those bits as they come.
#pragma once

#include <bit>
#include <cstdint>

#include "core/math.h"

namespace pare::cuda {

struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  PARE_HD explicit BFloat16(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
#else
    const uint32_t b = std::bit_cast<uint32_t>(x);
    bits = x != x ? uint16_t(b >> 16 | 0x40) : uint16_t((b + 0x7fff + (b >> 16 & 1)) >> 16);
#endif
  }
  PARE_HD operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

PARE_HD inline uint32_t to_tf32(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t bits;
  asm("{.reg .pred number; mov.b32 %0, %1; setp.num.f32 number, %1, %1; @number add.u32 %0, %0, "
      "0x1000;}"
      : "=r"(bits)
      : "f"(x));
  return bits;
#else
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return (x != x ? bits | 0x400000u : bits + 0x1000u) & 0xffffe000u;
#endif
}

}  // namespace pare::cuda
