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

TEST_CASE("the number of threads changes beside running jobs, from several threads at once") {
  constexpr int changes = 300;
  std::atomic<int> changing{2};
  const auto change = [&](int first) {
    for (int i = 0; i < changes; ++i) {
      set_threads(1 + (first + i) % 4);
      CHECK(threads() >= 1);
    }
    --changing;
  };
  const auto work = [&] {
    while (changing > 0) {
      std::atomic<int64_t> sum{0};
      parallel_for(40, [&](int64_t t) { sum += t; });
      REQUIRE(sum == 40 * 39 / 2);
    }
  };
  std::thread others[] = {std::thread(change, 0), std::thread(change, 2), std::thread(work)};
  work();
  for (std::thread& t : others) t.join();
  set_threads(0);
}

TEST_CASE("a tile changes the number of threads for the jobs that follow") {
  set_threads(3);
  parallel_for(12, [&](int64_t t) {
    set_threads(t % 2 ? 5 : 2);
    parallel_for(4, [](int64_t) { set_threads(2); });
  });
  set_threads(2);
  CHECK(threads() == 2);
  std::atomic<int> runs{0};
  parallel_for(12, [&](int64_t) { ++runs; });
  CHECK(runs == 12);
  set_threads(0);
}

TEST_CASE("as many threads as asked for, or a refusal") {
  for (const int n : {1, 70, 3}) {
    set_threads(n);
    CHECK(threads() == n);
    std::atomic<int> runs{0};
    parallel_for(200, [&](int64_t) { ++runs; });
    CHECK(runs == 200);
  }
  CHECK_THROWS_WITH(set_threads(-1), "-1 threads, expected 0 (all processors) to 1024");
  CHECK_THROWS_WITH(set_threads(1025), "1025 threads, expected 0 (all processors) to 1024");
  CHECK(threads() == 3);
  set_threads(0);
}
