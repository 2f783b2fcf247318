// Two things timed in turn, so that both see the same machine, on one that other programs use too.
//
// Those only ever make a run slower, and for a while: the runs are cut into windows, and the window
// with the smallest medians counts.
#pragma once

#include <functional>
#include <vector>

namespace pare::tool {

struct Quantiles {
  double p50 = 0, p95 = 0;  // seconds
};
struct InTurn {
  Quantiles first, second;
  bool disturbed = false;  // no two windows agreed, or the quietest was restless itself
};

// Each function runs once and returns the seconds that took. Goes on for `seconds` at least, up to
// four times that until two windows agree on both medians; at least twice four runs each.
InTurn time_in_turn(const std::function<double()>& first, const std::function<double()>& second,
                    double seconds);

// Of runs of one thing. Not empty.
Quantiles quantiles(std::vector<double> times);

}  // namespace pare::tool
