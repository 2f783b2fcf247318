// Recorded work: computed by replays alone, with the values that tensors hold then, in memory that
// nobody else gets.
#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "core/backend.h"
#include "core/device_graph.h"
#include "tests/cuda/devices.h"

using namespace pare;
using namespace pare::testing;

namespace {
Tensor on_device(std::vector<float> values, Device device) {
  return Tensor::from(values, {int64_t(values.size())}).to(device);
}
}  // namespace

TEST_CASE("a replay computes what was recorded, from the values of now") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const Tensor x = on_device({1, 2, 3}, device), y = on_device({0, 0, 0}, device);
    DeviceGraph graph;
    CHECK_FALSE(DeviceGraph::supported(Device{}));
    REQUIRE(graph.record(device, [&] { y.copy_from((x + x) * (x + x)); }) == "");
    CHECK(y.to_vector<float>() == std::vector<float>{0, 0, 0});
    graph.replay();
    CHECK(y.to_vector<float>() == std::vector<float>{4, 16, 36});
    x.copy_from(on_device({5, 6, 7}, device));
    graph.replay();
    CHECK(y.to_vector<float>() == std::vector<float>{100, 144, 196});
  }
}

TEST_CASE("results in recorded memory live from replay to replay, and other tensors are safe") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const Tensor x = on_device({1, 2, 3}, device);
    DeviceGraph graph;
    Tensor y;
    REQUIRE(graph.record(device, [&] { y = ((x + x) * x) + x; }) == "");
    std::vector<Tensor> others;
    for (int i = 0; i < 8; ++i) others.push_back(on_device({float(i), float(i), float(i)}, device));
    for (int round = 0; round < 3; ++round) {
      graph.replay();
      CHECK(y.to_vector<float>() == std::vector<float>{3, 10, 21});
      for (int i = 0; i < 8; ++i)
        CHECK(others[size_t(i)].to_vector<float>() == std::vector<float>(3, float(i)));
    }
    const size_t cached = pool_statistics(device).cached_bytes;
    y = Tensor();
    graph.drop();
    release_cached(device);
    CHECK(pool_statistics(device).cached_bytes == 0);
    CHECK(cached > 0);
  }
}

TEST_CASE("what reads or writes the host is not recorded, and says so") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const Tensor x = on_device({1, 2, 3}, device);
    DeviceGraph graph;
    const auto reason = [&](auto work) { return graph.record(device, work); };
    CHECK(reason([&] { (void)(x + x).to_vector<float>(); }).find("cannot be recorded") !=
          std::string::npos);
    CHECK(reason([&] { (void)on_device({1}, device); }).find("cannot be recorded") !=
          std::string::npos);
    CHECK(reason([&] { (void)dropout(x, 0.5, Mode::train); }).find("draws new numbers") !=
          std::string::npos);
    CHECK_FALSE(graph.recorded());
    CHECK_THROWS_AS(graph.record(device, [] { fail(ErrorCode::usage, "mine"); }), Error);
    CHECK_THROWS_AS(graph.replay(), Error);
    // The device works as before.
    CHECK((x + x).to_vector<float>() == std::vector<float>{2, 4, 6});
  }
}
