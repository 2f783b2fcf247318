#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "core/thread_pool.h"

using namespace pare;

TEST_CASE("every tile runs exactly once, whatever the threads, job after job") {
  for (const int n : {1, 2, 3, 8}) {
    set_threads(n);
    for (int job = 0; job < 3000; ++job) {
      const int64_t tiles = 1 + job * 7 % 23;
      std::vector<int> runs(size_t(tiles), 0);
      std::atomic<int64_t> sum{0};
      parallel_for(tiles, [&](int64_t t) {
        ++runs[size_t(t)];
        sum += t + job;
      });
      REQUIRE(sum == tiles * (tiles - 1) / 2 + tiles * job);
      REQUIRE(std::accumulate(runs.begin(), runs.end(), 0) == tiles);
    }
  }
  set_threads(0);
}

TEST_CASE("nested and simultaneous jobs") {
  std::atomic<int> inner{0};
  const auto job = [&] {
    for (int i = 0; i < 200; ++i)
      parallel_for(4, [&](int64_t) { parallel_for(3, [&](int64_t) { ++inner; }); });
  };
  std::thread other(job);
  job();
  other.join();
  CHECK(inner == 2 * 200 * 12);
}
