// Batches made on the device have the bits of those made on the CPU.
#include <doctest/doctest.h>

#include "datasets/loader.h"
#include "tests/cuda/devices.h"

using namespace pare;
using namespace pare::testing;

namespace {
Examples examples(DType dtype, int64_t n, const Shape& image) {
  Examples e{Tensor::empty({n, image[0], image[1], image[2]}, DType::u8),
             Tensor::empty({n}, DType::i32)};
  for (int64_t i = 0; i < e.images.elements(); ++i)
    e.images.data<uint8_t>()[i] = uint8_t(i * 131 + i / 7 + 1);
  for (int64_t i = 0; i < n; ++i) e.labels.data<int32_t>()[i] = int32_t(i % 7);
  e.images = e.images.to(dtype);
  return e;
}
}  // namespace

TEST_CASE("a batch made on the device has the CPU's bits, whatever the augmentation") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const Preprocessing preprocessing{
        .scale = 1.0 / 255, .mean = {0.1, 0.2, 0.3}, .deviation = {0.3, 0.7, 1.1}};
    for (const DType dtype : {DType::u8, DType::f32})
      for (const Shape& image : {Shape{3, 7, 5}, Shape{3, 2, 19}})
        for (const char* augment : {"none", "shift", "crop,flip", "flip"}) {
          CAPTURE(augment);
          const Examples e = examples(dtype, 23, image);
          LoaderOptions options{.batch = 6, .seed = 5, .augment = Augmentation::parse(augment)};
          Loader here(e, preprocessing, options), there(e.to(device), preprocessing, options);
          Batch a, b;
          for (const int64_t epoch : {0, 3}) {
            here.start_epoch(epoch, epoch ? 1 : 0);
            there.start_epoch(epoch, epoch ? 1 : 0);
            while (here.next(a)) {
              REQUIRE(there.next(b));
              CHECK(b.images.device() == device);
              CHECK(a.images.to_vector<float>() == b.images.to_vector<float>());
              CHECK(a.labels.to_vector<int32_t>() == b.labels.to_vector<int32_t>());
              CHECK(a.indices == b.indices);
            }
            CHECK_FALSE(there.next(b));
          }
        }
  }
}
