// The times by which a plan's forms are chosen: each layer's (choose.cpp), then the plan's as a
// whole (whole_plan.h). Taken by the clock; a test plants times of its own.
#pragma once

#include <functional>

#include "compress/plan/state.h"

namespace pare::plan {

// Microseconds of one run by the clock: of a step cut into so many parts, of a plan with the
// threads in use.
double time_step(const Step& step, const Frame& frame, int64_t parts);
double time_plan(Plan::State& plan, const Tensor& x, Tensor& y);

struct Timing {
  std::function<double(const Step&, const Frame&, int64_t parts)> step = time_step;
  std::function<double(Plan::State&, const Tensor& x, Tensor& y)> plan = time_plan;
};

}  // namespace pare::plan
