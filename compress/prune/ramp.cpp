#include "compress/prune/ramp.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace pare {
namespace {

constexpr std::string_view names[] = {"cubic", "linear", "exponential", "cosine"};

}  // namespace

std::string to_string(RampKind kind) { return std::string(names[size_t(kind)]); }

RampKind parse_ramp(const std::string& name) {
  const auto* at = std::find(std::begin(names), std::end(names), name);
  check(at != std::end(names), "'{}' is no ramp of sparsity{}", name,
        suggest(name, names, std::size(names)));
  return RampKind(at - std::begin(names));
}

double SparsityRamp::at(int64_t step) const {
  const double p = std::clamp(double(step - begin) / double(end - begin), 0.0, 1.0);
  const double rise = final - initial;
  switch (kind) {
    case RampKind::cubic:
      return final - rise * (1 - p) * (1 - p) * (1 - p);
    case RampKind::linear:
      return p == 1 ? final : initial + rise * p;
    case RampKind::exponential:
      return p == 1 ? final : 1 - (1 - initial) * std::pow((1 - final) / (1 - initial), p);
    case RampKind::cosine:
      return p == 1 ? final : initial + rise * (1 - std::cos(std::numbers::pi * p)) / 2;
  }
  return final;
}

bool SparsityRamp::updates(int64_t step) const {
  return step == end || (step >= begin && step < end && (step - begin) % every == 0);
}

void SparsityRamp::check_fits(int64_t steps) const {
  check(initial >= 0 && initial <= final && final < 1,
        "a sparsity that rises from {} to {}, expected 0 <= first <= last < 1", initial, final);
  check(every >= 1, "masks updated every {} steps, expected at least 1", every);
  check(begin >= 0 && begin < end && end < steps,
        "sparsity rises from step {} to step {} of {}; expected 0 <= begin < end < steps, so that "
        "the network trains on at its last sparsity; train longer or change the span",
        begin, end, steps);
}

}  // namespace pare
