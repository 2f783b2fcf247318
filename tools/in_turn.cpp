#include "tools/in_turn.h"

#include <algorithm>

#include "compress/plan/plan.h"

namespace pare::tool {
namespace {

// A quiet machine keeps 95 of 100 runs within this of the median.
constexpr double restless = 1.5;

struct Window {
  Quantiles first, second;
};

// How far the window is above the smallest medians of all.
double loudness(const Window& w, const Window& best) {
  return std::max(w.first.p50 / best.first.p50, w.second.p50 / best.second.p50);
}

// Sorts the quietest to the front; whether another one agrees with it.
bool sort_quietest(std::vector<Window>& windows) {
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

}  // namespace

Quantiles quantiles(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) { return times[size_t(share * double(times.size() - 1))]; };
  return {at(0.5), at(0.95)};
}

InTurn time_in_turn(const std::function<double()>& first, const std::function<double()>& second,
                    double seconds) {
  std::vector<Window> windows;
  double total = 0;
  bool agree = false;
  do {
    std::vector<double> a, b;
    const double end = total + seconds / 5;
    do {
      a.push_back(first());
      b.push_back(second());
      total += a.back() + b.back();
    } while (a.size() < 4 || total < end);
    windows.push_back({quantiles(std::move(a)), quantiles(std::move(b))});
    agree = sort_quietest(windows);
  } while (windows.size() < 2 || total < (agree ? seconds : 4 * seconds));
  const auto& [x, y] = windows.front();
  return {x, y, !agree || x.p95 > restless * x.p50 || y.p95 > restless * y.p50};
}

}  // namespace pare::tool
