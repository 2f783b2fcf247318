// Division of numbers below 2^31 by one that is fixed during a launch: a product and a shift
// (Granlund and Montgomery, "Division by Invariant Integers using Multiplication", 1994), where a
// GPU would take some twenty instructions.
#pragma once

#include <cstdint>

#include "core/math.h"

namespace pare::cuda {

struct Divisor {
  // Larger than any number divided: the quotient is 0, the remainder the number.
  static constexpr int64_t none = 0x7fffffff;

  int value = 1;
  uint32_t multiplier = 0;
  int shift = 0;

  Divisor() = default;
  explicit Divisor(int64_t d) : value(int(d < 1 ? 1 : d)) {
    int log = 0;  // rounded up
    while ((int64_t(1) << log) < value) ++log;
    multiplier = uint32_t((uint64_t(1) << (31 + log)) / uint64_t(value) + 1);
    shift = log - 1;
  }
  PARE_HD int quotient(int n) const {
    if (value == 1) return n;
    return int(uint32_t(uint64_t(uint32_t(n)) * multiplier >> 32) >> shift);
  }
  // Any number.
  PARE_HD int64_t divide(int64_t n) const { return n < none ? quotient(int(n)) : n / value; }
};

}  // namespace pare::cuda
