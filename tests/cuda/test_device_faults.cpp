// A device that breaks while it is used: what is said, and that the process goes on where it can.
#include <doctest/doctest.h>

#include "autograd/ops.h"
#include "core/backend.h"
#include "datasets/dataset.h"
#include "tests/cuda/playing.h"

using namespace pare;
using namespace pare::testing;

TEST_SUITE_BEGIN("emulated");  // a GPU has no part in these

namespace {

const Device emulated{DeviceType::cuda_emulated, 0};

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
  try {  // more than the pool holds, so that the device itself is asked
    megabytes(32);
    CHECK(false);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::device);
    CHECK(std::string(e.what()).find("lost to this process") != std::string::npos);
  }
}

namespace {
// Asks for 8 MiB, and notes what is in use meanwhile.
size_t in_use = 0;
Status wants_scratch(const KernelArgs& args) {
  void* block = nullptr;
  const Status status = args.scratch(args.scratch_of, size_t(8) << 20, &block, args.error);
  in_use = pool_statistics(emulated).live_bytes;
  return status;
}
}  // namespace

TEST_CASE("the scratch memory of a kernel comes from the pool and is counted") {
  register_kernel("wants_scratch", DeviceType::cuda_emulated, wants_scratch);
  const Kernel kernel("wants_scratch");
  release_cached(emulated);
  const Tensor kept = megabytes(2);
  const size_t before = pool_statistics(emulated).live_bytes;
  megabytes(6);  // free again, in the pool
  const Playing fault("memory-" + std::to_string(before + (size_t(9) << 20)));
  kernel(emulated, {});  // fits once the free block is given back
  CHECK(in_use == before + (size_t(8) << 20));
  CHECK(pool_statistics(emulated).live_bytes == before);
  const Tensor more = megabytes(4);
  CHECK_THROWS_WITH_AS(kernel(emulated, {}), doctest::Contains("8388608 bytes wanted"), Error);
  CHECK(pool_statistics(emulated).live_bytes == before + (size_t(4) << 20));
}

TEST_CASE(
    "examples that do not fit on the device say how many bytes they are, and what would help") {
  const Examples all{Tensor::zeros({40, 1, 256, 256}, DType::u8), Tensor::zeros({40}, DType::i32)};
  release_cached(emulated);
  const Playing fault("memory-" + std::to_string(pool_statistics(emulated).live_bytes + (1 << 20)));
  CHECK_THROWS_WITH_AS(
      (void)all.to(emulated),
      doctest::Contains("40 examples of 65536 bytes each do not fit into the memory of "
                        "cuda-emulated"),
      Error);
}

TEST_SUITE_END();
