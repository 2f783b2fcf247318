// Learning-rate schedules: pure functions of the step, so that a resumed run needs no state.
#pragma once

#include <cstdint>
#include <string>

namespace pare {

enum class ScheduleKind : uint8_t {
  constant,
  step,       // a tenth after half of the steps, a hundredth after three quarters
  cosine,     // down to zero along half a cosine (Loshchilov and Hutter 2017)
  one_cycle,  // up from 1/25 over 30 % of the steps, down to 1e-5, along cosines (Smith 2018)
};
std::string to_string(ScheduleKind kind);
// By the names constant, step, cosine, one-cycle; another is Error{usage}.
ScheduleKind parse_schedule(const std::string& name);

struct Schedule {
  ScheduleKind kind = ScheduleKind::cosine;
  int64_t total = 1;   // steps of the whole training
  int64_t warmup = 0;  // first steps, in which the factor rises in a line to that of the schedule
  // What the base rate is multiplied by at `step` (0 .. total-1): in [0, 1].
  double factor(int64_t step) const;
};

}  // namespace pare
