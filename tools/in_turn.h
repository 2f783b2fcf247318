// Two things timed in turn, so that both see the same machine, on one that other programs use too.
//
// Those only ever make a run slower, and for a while: the runs are cut into windows, and the window
// with the smallest medians counts.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace pare::tool {

struct Quantiles {
  double p50 = 0, p95 = 0;  // seconds
};
struct InTurn {
  Quantiles first, second;
  bool disturbed = false;  // no two windows agreed, or the quietest was restless itself
};

// Parts of less than this share of the whole are not worth a word, nor a longer measurement.
constexpr double worth_telling = 0.05;

// Seconds of each of several parts of the two: first and second, 0 where it is absent.
using PartTimes = std::vector<std::pair<double, double>>;
// `both` runs the two once, with as many parts each time. Goes on for `seconds` at least, up to
// four times that until two windows agree on both medians of every part worth telling; at least
// twice four runs. Each part has its own quietest window.
std::vector<InTurn> time_parts_in_turn(const std::function<PartTimes()>& both, double seconds);

// The same for two things that are one part each: each function runs once and returns the seconds
// that took.
InTurn time_in_turn(const std::function<double()>& first, const std::function<double()>& second,
                    double seconds);

// Of runs of one thing. Not empty.
Quantiles quantiles(std::vector<double> times);

}  // namespace pare::tool
