// BFloat16: a storage type. Arithmetic is done in float; conversions round to nearest, ties to
// even. to_tf32 rounds a float to the 10 bits of mantissa that tensor cores use (ties away from
// zero, as cvt.rna does).
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
  return (std::bit_cast<uint32_t>(x) + 0x1000u) & 0xffffe000u;
}

}  // namespace pare::cuda
