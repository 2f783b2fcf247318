#include <doctest/doctest.h>

#include <atomic>
#include <new>
#include <numeric>
#include <stdexcept>
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

TEST_CASE("an exception in a tile reaches the caller, whoever ran the tile, and the pool goes on") {
  for (const int n : {1, 2, 8}) {
    set_threads(n);
    for (int job = 0; job < 200; ++job) {
      std::atomic<int> begun{0};
      const auto fails = [&](int64_t tile) {
        ++begun;
        if (tile == job % 7) throw std::runtime_error("tile " + std::to_string(tile));
      };
      const std::string expected = "tile " + std::to_string(job % 7);
      CHECK_THROWS_WITH_AS(parallel_for(1000, fails), expected.c_str(), std::runtime_error);
      if (n == 1) CHECK(begun == job % 7 + 1);  // what was not begun is left
      std::atomic<int> runs{0};
      parallel_for(50, [&](int64_t) { parallel_for(2, [&](int64_t) { ++runs; }); });
      REQUIRE(runs == 100);
    }
  }
  set_threads(0);
}

TEST_CASE("an exception on a worker reaches the caller") {
  set_threads(4);
  const auto caller = std::this_thread::get_id();
  for (int job = 0; job < 20; ++job) {
    std::atomic<bool> thrown{false};
    const auto fails = [&](int64_t) {
      if (std::this_thread::get_id() == caller)  // leaves tiles to the others
        while (!thrown) std::this_thread::yield();
      else {
        thrown = true;
        throw std::bad_alloc();
      }
    };
    CHECK_THROWS_AS(parallel_for(64, fails), std::bad_alloc);
  }
  set_threads(0);
}
