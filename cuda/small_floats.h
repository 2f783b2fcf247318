// BFloat16: a storage type. Arithmetic is done in float; conversions round to nearest, ties to
// even. to_tf32 rounds a float to the 10 bits of mantissa that tensor cores use, ties away from
// zero.
//
// Infinities stay, and every NaN stays one: a GPU makes 0x7fffffff, which a plain addition would
// carry into the sign. Kernels of tensor cores round by round_tf32 and round_bf16 (cuda/mma.h),
// which are these in the GPU's own instructions.
#pragma once

#include <bit>
#include <cstdint>

#include "core/math.h"

namespace pare::cuda {

struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  PARE_HD explicit BFloat16(float x) {
    const uint32_t b = std::bit_cast<uint32_t>(x);
    bits = x != x ? uint16_t(b >> 16 | 0x40) : uint16_t((b + 0x7fff + (b >> 16 & 1)) >> 16);
  }
  PARE_HD operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

PARE_HD inline uint32_t to_tf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return (x != x ? bits | 0x400000u : bits + 0x1000u) & 0xffffe000u;
}

}  // namespace pare::cuda
