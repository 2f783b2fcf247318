// What recording does to memory, to other threads, and to the device when it fails.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "autograd/ops.h"
#include "core/backend.h"
#include "core/device_graph.h"
#include "tests/cuda/playing.h"

using namespace pare;
using namespace pare::testing;

namespace {
const Device emulated{DeviceType::cuda_emulated, 0};

Tensor on_device(std::vector<float> values) {
  return Tensor::from(values, {int64_t(values.size())}).to(emulated);
}
size_t pool_bytes() {
  const PoolStatistics s = pool_statistics(emulated);
  return s.live_bytes + s.cached_bytes;
}
}  // namespace

TEST_CASE("recording takes no more memory than the same step run before it") {
  const Tensor x = Tensor::full({1 << 18}, 1, DType::f32, emulated);
  release_cached(emulated);
  DeviceGraph graph;
  Tensor y;
  const auto work = [&] { y = (x + x) * (x + x) + x; };
  work();
  y = Tensor();
  const size_t once = pool_bytes();
  REQUIRE(graph.record(emulated, work) == "");
  CHECK(pool_bytes() <= once);
  graph.replay();
  CHECK(y.rows(7, 8).to_vector<float>() == std::vector<float>{5});
}

TEST_CASE("a step that there is no memory to record is refused, and runs by itself") {
  release_cached(emulated);
  const Tensor x = Tensor::full({1 << 18}, 1, DType::f32, emulated);
  Tensor left_over = Tensor::full({3 << 18}, 1, DType::f32, emulated);
  DeviceGraph graph;
  Tensor y;
  {
    const Playing fault("memory-" + std::to_string(pool_bytes() + (1 << 20)));
    // Blocks that become free while it is recorded are not given back meanwhile: that may spoil
    // what a GPU records.
    const std::string reason = graph.record(emulated, [&] {
      left_over = Tensor();
      y = concat({x, x, x}, 0);
    });
    CHECK(reason.find("out of memory on cuda-emulated: 3145728 bytes wanted") == 0);
    CHECK_FALSE(graph.recorded());
    y = concat({x, x, x}, 0);  // by giving back
    CHECK(y.rows(0, 1).to_vector<float>() == std::vector<float>{1});
  }
  CHECK(graph.record(emulated, [&] { y = x + x; }) == "");
}

TEST_CASE("whatever ends a recording, the device works afterwards and can record") {
  const Tensor x = on_device({1, 2, 3});
  DeviceGraph graph, inner;
  CHECK_THROWS_AS(graph.record(emulated, [] { throw std::runtime_error("mine"); }),
                  std::runtime_error);
  CHECK_THROWS_WITH_AS(
      graph.record(emulated, [&] { (void)inner.record(emulated, [&] { (void)(x + x); }); }),
      doctest::Contains("is being recorded on cuda-emulated already"), Error);
  CHECK(graph.record(emulated, [&] { synchronize(emulated); }).find("cannot be recorded") !=
        std::string::npos);
  CHECK_FALSE(DeviceGraph::recording());
  CHECK((x + x).to_vector<float>() == std::vector<float>{2, 4, 6});
  CHECK(graph.record(emulated, [&] { (void)(x + x); }) == "");
}

// ctest runs this under PARE_POOL=exact.
TEST_CASE(
    "an exact pool lends what was asked for and gives it back at once, but what a recording "
    "holds") {
  const char* pool = std::getenv("PARE_POOL");
  if (!pool || std::string(pool) != "exact") return;
  const PoolStatistics before = pool_statistics(emulated);
  CHECK(before.cached_bytes == 0);
  {
    const Tensor x = Tensor::empty({65}, DType::u8, Format::plain, emulated);
    CHECK(pool_statistics(emulated).live_bytes == before.live_bytes + 65);
  }
  CHECK(pool_statistics(emulated).cached_bytes == 0);
  const Tensor x = on_device({1, 2});
  {
    DeviceGraph graph;
    Tensor y;
    REQUIRE(graph.record(emulated, [&] { y = x + x + x; }) == "");
    CHECK(pool_statistics(emulated).cached_bytes > 0);
    graph.replay();
    CHECK(y.to_vector<float>() == std::vector<float>{3, 6});
  }
  CHECK(pool_statistics(emulated).cached_bytes == 0);
}

TEST_CASE("what another thread asks of the device meanwhile waits, and is not recorded") {
  const Tensor x = on_device({1, 2, 3}), y = on_device({0, 0, 0});
  DeviceGraph graph;
  Tensor z;
  std::vector<float> read;
  std::thread other;
  REQUIRE(graph.record(emulated, [&] {
    other = std::thread([&] {
      z = x + x;
      read = z.to_vector<float>();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    y.copy_from(x * x);
    CHECK(read.empty());
  }) == "");
  other.join();
  CHECK(read == std::vector<float>{2, 4, 6});
  CHECK(y.to_vector<float>() == std::vector<float>{0, 0, 0});
  graph.replay();
  CHECK(y.to_vector<float>() == std::vector<float>{1, 4, 9});
  CHECK(z.to_vector<float>() == std::vector<float>{2, 4, 6});
  // Its memory is not the recording's.
  graph.drop();
  release_cached(emulated);
  CHECK(z.to_vector<float>() == std::vector<float>{2, 4, 6});
}
