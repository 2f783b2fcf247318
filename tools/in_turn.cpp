#include "tools/in_turn.h"

#include <algorithm>

#include "compress/plan/plan.h"

namespace pare::tool {
namespace {

// A quiet machine keeps 95 of 100 runs within this of the median.
constexpr double restless = 1.5;

struct Window {
  Quantiles first, second;
  double seconds() const { return first.p50 + second.p50; }
};
using Windows = std::vector<Window>;  // of one part

// How far the window is above the smallest medians of all.
double loudness(const Window& w, const Window& best) {
  const auto above = [](double p50, double least) { return least > 0 ? p50 / least : 1; };
  return std::max(above(w.first.p50, best.first.p50), above(w.second.p50, best.second.p50));
}

// Sorts the quietest to the front; whether another one agrees with it.
bool sort_quietest(Windows& windows) {
  Window best = windows.front();
  for (const Window& w : windows) {
    best.first.p50 = std::min(best.first.p50, w.first.p50);
    best.second.p50 = std::min(best.second.p50, w.second.p50);
  }
  std::sort(windows.begin(), windows.end(), [&](const Window& a, const Window& b) {
    return loudness(a, best) < loudness(b, best);
  });
  return windows.size() > 1 && loudness(windows[1], best) < noticeable_ratio;
}

InTurn quietest(Windows& windows) {
  const bool agree = sort_quietest(windows);
  const auto& [x, y] = windows.front();
  return {x, y, !agree || x.p95 > restless * x.p50 || y.p95 > restless * y.p50};
}

// Whether windows agree for every part that matters.
bool agree(std::vector<Windows>& parts) {
  bool all = true;
  double whole = 0;
  for (Windows& w : parts) {
    all = sort_quietest(w) && all;
    whole += w.front().seconds();
  }
  return all || std::all_of(parts.begin(), parts.end(), [&](Windows& w) {
           return w.front().seconds() < worth_telling * whole || sort_quietest(w);
         });
}

// Runs both for a while, and gives every part another window. Returns the seconds that took.
double add_window(const std::function<PartTimes()>& both, double seconds,
                  std::vector<Windows>& parts) {
  std::vector<std::vector<double>> first, second;
  double total = 0;
  for (int runs = 0; runs < 4 || (total > 0 && total < seconds); ++runs) {
    const PartTimes times = both();
    first.resize(times.size());
    second.resize(times.size());
    for (size_t i = 0; i < times.size(); ++i) {
      first[i].push_back(times[i].first);
      second[i].push_back(times[i].second);
      total += times[i].first + times[i].second;
    }
    if (times.empty()) break;
  }
  parts.resize(first.size());
  for (size_t i = 0; i < parts.size(); ++i)
    parts[i].push_back({quantiles(std::move(first[i])), quantiles(std::move(second[i]))});
  return total;
}

}  // namespace

Quantiles quantiles(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) { return times[size_t(share * double(times.size() - 1))]; };
  return {at(0.5), at(0.95)};
}

std::vector<InTurn> time_parts_in_turn(const std::function<PartTimes()>& both, double seconds) {
  std::vector<Windows> parts;
  double total = 0;
  for (int windows = 0; windows < 2 || total < (agree(parts) ? seconds : 4 * seconds); ++windows) {
    total += add_window(both, seconds / 5, parts);
    if (parts.empty() || total == 0) break;  // nothing takes time
  }
  std::vector<InTurn> quiet;
  for (Windows& w : parts) quiet.push_back(quietest(w));
  return quiet;
}

InTurn time_in_turn(const std::function<double()>& first, const std::function<double()>& second,
                    double seconds) {
  const auto both = [&] {
    const double took = first();
    return PartTimes{{took, second()}};
  };
  return time_parts_in_turn(both, seconds).front();
}

}  // namespace pare::tool
