// How sparsity rises while a network trains: a pure function of the step, so that a resumed run
// needs no state. With p = clamp((t - begin) / (end - begin), 0, 1):
//
//   cubic        s = s_f + (s_i - s_f) (1 - p)^3         (Zhu and Gupta 2017)
//   linear       s = s_i + (s_f - s_i) p
//   cosine       s = s_i + (s_f - s_i) (1 - cos(pi p)) / 2
//   exponential  1 - s = (1 - s_i) ((1 - s_f) / (1 - s_i))^p: the kept share falls by one factor
#pragma once

#include <cstdint>
#include <string>

namespace pare {

enum class RampKind : uint8_t { cubic, linear, exponential, cosine };
std::string to_string(RampKind kind);
// By those names; another is Error{usage}.
RampKind parse_ramp(const std::string& name);

struct SparsityRamp {
  RampKind kind = RampKind::cubic;
  double initial = 0, final = 0.9;  // sparsities, 0 <= initial <= final < 1
  int64_t begin = 0, end = 1;       // steps, begin < end
  int64_t every = 100;              // steps between updates

  double at(int64_t step) const;
  // Whether masks change before this step: every `every` steps from `begin` on, and at `end`.
  bool updates(int64_t step) const;
  // Throws Error{usage} unless the ranges above hold and `end` lies before `steps`.
  void check_fits(int64_t steps) const;
};

}  // namespace pare
