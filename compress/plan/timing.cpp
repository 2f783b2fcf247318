#include "compress/plan/timing.h"

#include <chrono>

#include "core/thread_pool.h"

namespace pare::plan {
namespace {

template <class F>
double micros_of(F&& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

double time_step(const Step& step, const Frame& frame, int64_t parts) {
  return micros_of([&] {
    if (parts == 1) return step.run(frame, 0, 1);
    parallel_for(parts, [&](int64_t part) { step.run(frame, part, parts); });
  });
}
double time_plan(Plan::State& plan, const Tensor& x, Tensor& y) {
  return micros_of([&] { plan.run(x, y); });
}

}  // namespace pare::plan
