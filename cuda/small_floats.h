// Half (IEEE binary16) and BFloat16: storage types. Arithmetic is done in float; conversions round
// to nearest, ties to even. to_tf32 rounds a float to the 10 bits of mantissa that tensor cores use
// (ties away from zero, as cvt.rna does).
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

struct Half {
  uint16_t bits = 0;
  Half() = default;
  PARE_HD explicit Half(float x) {
    const uint32_t b = std::bit_cast<uint32_t>(x), sign = b >> 16 & 0x8000,
                   magnitude = b & 0x7fffffff;
    uint32_t h;
    if (magnitude > 0x7f800000) {
      h = 0x7e00;  // NaN
    } else if (magnitude >= 0x477ff000) {
      h = 0x7c00;  // rounds to infinity
    } else if (magnitude < 0x38800000) {
      // Below 2^-14: adding 0.5 leaves the bits in units of 2^-24, rounded by the addition.
      h = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
    } else {
      h = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    }
    bits = uint16_t(sign | h);
  }
  PARE_HD operator float() const {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31,
                   m = bits & 0x3ff;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | m << 13);
    if (exponent == 0) {
      const float tiny = float(m) * 0x1p-24f;
      return sign ? -tiny : tiny;
    }
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | m << 13);
  }
};

PARE_HD inline uint32_t to_tf32(float x) {
  return (std::bit_cast<uint32_t>(x) + 0x1000u) & 0xffffe000u;
}

}  // namespace pare::cuda
