// A device that breaks while it is used: what is said, and that the process goes on where it can.
#include <doctest/doctest.h>

#include <cstdlib>

#include "autograd/ops.h"
#include "core/backend.h"

using namespace pare;

namespace {

const Device emulated{DeviceType::cuda_emulated, 0};

struct Playing {
  explicit Playing(const std::string& fault) { ::setenv("PARE_EMULATION_FAULT", fault.c_str(), 1); }
  ~Playing() { ::unsetenv("PARE_EMULATION_FAULT"); }
};

Tensor megabytes(int64_t n) {
  return Tensor::empty({n << 18}, DType::f32, Format::plain, emulated);
}

}  // namespace

TEST_CASE("memory that runs out is looked for among free blocks, then told with the amounts") {
  release_cached(emulated);
  const Tensor kept = megabytes(2);
  megabytes(16);  // free again, in the pool
  const PoolStatistics before = pool_statistics(emulated);
  const Playing fault("memory-" +
                      std::to_string(before.live_bytes + before.cached_bytes + (size_t(4) << 20)));
  {
    const Tensor fits = megabytes(12);  // once the free block is given back
    CHECK(pool_statistics(emulated).cached_bytes < before.cached_bytes);
    CHECK_THROWS_WITH_AS(megabytes(64), doctest::Contains("in use by tensors"), Error);
    try {
      megabytes(64);
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::io);
      CHECK(std::string(e.what()).find("67108864 bytes wanted") != std::string::npos);
    }
  }
  kept.fill(2);
  CHECK((kept.rows(0, 3) + kept.rows(0, 3)).to_vector<float>() == std::vector<float>(3, 4));
}

TEST_CASE("a lost device says so at every call") {
  const Tensor x = Tensor::full({8}, 1, DType::f32, emulated);
  const Playing fault("lost-after-0");
  CHECK_THROWS_WITH_AS((void)(x + x), doctest::Contains("lost to this process"), Error);
  CHECK_THROWS_WITH_AS((void)x.to_vector<float>(), doctest::Contains("--resume"), Error);
  CHECK_THROWS_WITH_AS(synchronize(emulated), doctest::Contains("lost"), Error);
}
