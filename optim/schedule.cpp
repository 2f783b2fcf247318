#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace pare {
namespace {

constexpr std::string_view names[] = {"constant", "step", "cosine", "one-cycle"};

// From a to b as t goes from 0 to 1.
double cosine(double a, double b, double t) {
  return b + (a - b) * 0.5 * (1 + std::cos(std::numbers::pi * t));
}

double at(ScheduleKind kind, double t) {  // t: share of the steps done
  switch (kind) {
    case ScheduleKind::constant:
      return 1;
    case ScheduleKind::step:
      return t < 0.5 ? 1 : t < 0.75 ? 0.1 : 0.01;
    case ScheduleKind::cosine:
      return cosine(1, 0, t);
    case ScheduleKind::one_cycle: {
      constexpr double rise = 0.3, start = 1.0 / 25, end = 1e-5;
      return t < rise ? cosine(start, 1, t / rise) : cosine(1, end, (t - rise) / (1 - rise));
    }
  }
  return 1;
}

}  // namespace

std::string to_string(ScheduleKind kind) { return std::string(names[size_t(kind)]); }

ScheduleKind parse_schedule(const std::string& name) {
  const auto it = std::find(std::begin(names), std::end(names), name);
  check(it != std::end(names), "'{}' is no schedule{}", name,
        suggest(name, names, std::size(names)));
  return ScheduleKind(it - std::begin(names));
}

double Schedule::factor(int64_t step) const {
  const double rest = double(std::max<int64_t>(total - warmup, 1));
  if (step < warmup) return at(kind, 0) * double(step + 1) / double(warmup + 1);
  return at(kind, std::min(1.0, double(step - warmup) / rest));
}

}  // namespace pare
