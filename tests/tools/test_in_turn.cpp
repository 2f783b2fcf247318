// Timing two things in turn on a machine that others disturb, with planted times.
#include "tools/in_turn.h"

#include <doctest/doctest.h>

using namespace pare::tool;

namespace {

// Takes `seconds` a run, `factor` times that while `busy(run)` holds.
struct Planted {
  double seconds, factor;
  std::function<bool(int)> busy;
  int runs = 0;
  double operator()() {
    const bool slow = busy && busy(runs);
    ++runs;
    return seconds * (slow ? factor : 1);
  }
};

InTurn timed(Planted& a, Planted& b) { return time_in_turn(std::ref(a), std::ref(b), 1.0); }

}  // namespace

TEST_CASE("two things on a quiet machine: their times, and no longer than asked for") {
  Planted a{0.010, 1, {}}, b{0.005, 1, {}};
  const InTurn t = timed(a, b);
  CHECK(t.first.p50 == 0.010);
  CHECK(t.second.p50 == 0.005);
  CHECK(t.second.p95 == 0.005);
  CHECK_FALSE(t.disturbed);
  CHECK(a.runs == b.runs);
  CHECK(a.runs * 0.015 == doctest::Approx(1).epsilon(0.1));
}

TEST_CASE("a program that takes the machine for more than half of the time does not count") {
  // More than half of the runs: the median over all is the slow one.
  const auto most = [](int run) { return run < 32; };
  Planted a{0.010, 1.5, most}, b{0.005, 1, {}};
  const InTurn t = timed(a, b);
  CHECK(t.first.p50 == 0.010);
  CHECK(t.second.p50 == 0.005);
  CHECK_FALSE(t.disturbed);
  CHECK(a.runs < 2 * 32);
}

TEST_CASE("a machine that never rests is told") {
  // No two windows alike.
  Planted a{0.010, 1, {}}, b{0.005, 1, {}};
  int calls = 0;
  const InTurn t = time_in_turn([&] { return a() * (1 + 0.02 * ++calls); }, std::ref(b), 1.0);
  CHECK(t.disturbed);
  CHECK(a.runs * 0.015 < 4.5);
  // Alike, but with one run in four far off.
  Planted c{0.010, 3, [](int run) { return run % 4 == 3; }}, d{0.005, 1, {}};
  const InTurn u = timed(c, d);
  CHECK(u.first.p50 == 0.010);
  CHECK(u.disturbed);
}

TEST_CASE("slow things run eight times each") {
  Planted a{30, 1, {}}, b{10, 1, {}};
  const InTurn t = timed(a, b);
  CHECK(a.runs == 8);
  CHECK(b.runs == 8);
  CHECK_FALSE(t.disturbed);
}

TEST_CASE("parts timed in turn have their own quiet windows, and those that have none are told") {
  int runs = 0;
  const auto both = [&] {
    ++runs;
    const bool busy = runs < 40;  // more than half of the runs, but another program each
    return PartTimes{{0.004, busy && runs < 20 ? 0.040 : 0.004},
                     {busy && runs >= 20 ? 0.030 : 0.003, 0.002},
                     {0, 0.001},                               // it was not there before
                     {0.004 * (1 + 0.02 * runs), 0.004},       // never rests
                     {0.00001 * (1 + 0.02 * runs), 0.00001}};  // nor does this one, but who cares
  };
  const auto parts = time_parts_in_turn(both, 0.5);
  REQUIRE(parts.size() == 5);
  CHECK(parts[0].first.p50 == 0.004);
  CHECK(parts[0].second.p50 == 0.004);
  CHECK(parts[1].first.p50 == 0.003);
  CHECK(parts[1].second.p50 == 0.002);
  CHECK(parts[2].first.p50 == 0);
  CHECK(parts[2].second.p50 == 0.001);
  for (size_t i = 0; i < 3; ++i) CHECK_FALSE(parts[i].disturbed);
  CHECK(parts[3].disturbed);
  CHECK(parts[4].disturbed);
  // Restless parts that matter have the measurement go on; others do not.
  const int long_runs = runs;
  runs = 0;
  int others = 0;
  time_parts_in_turn(
      [&] {
        ++others;
        return PartTimes{{0.01, 0.01}, {0.00001 * (1 + 0.02 * others), 0.00001}};
      },
      0.5);
  CHECK(others < 40);
  CHECK(others < long_runs);
  CHECK(time_parts_in_turn([] { return PartTimes{}; }, 0.5).empty());
}
