// Masks as they lie in files: both codes give the mask back, and the shorter one is taken.
#include <doctest/doctest.h>

#include "autograd/mask_code.h"
#include "core/random.h"

using namespace pare;

namespace {

Tensor random_mask(int64_t n, double kept, uint64_t seed) {
  const Tensor mask = Tensor::empty({n}, DType::u8);
  Rng rng(seed);
  for (int64_t i = 0; i < n; ++i) mask.data<uint8_t>()[i] = rng.uniform() < kept;
  return mask;
}

std::vector<uint8_t> decoded(const MaskCode& code, const Shape& shape) {
  if (!code.gaps) return mask_from_bits(code.bytes, shape).to_vector<uint8_t>();
  const auto mask = mask_from_gaps(code.bytes, shape);
  REQUIRE(mask.has_value());
  return mask->to_vector<uint8_t>();
}

}  // namespace

TEST_CASE("a mask comes back from its code, which is the shorter of the two") {
  for (const int64_t n : {1, 7, 8, 255, 256, 511, 1000, 100003})
    for (const double kept : {0.0, 0.0005, 0.02, 0.1, 0.2, 0.5, 1.0}) {
      const Tensor mask = random_mask(n, kept, uint64_t(n));
      const MaskCode code = encode_mask(mask);
      CAPTURE(n);
      CAPTURE(kept);
      CHECK(decoded(code, mask.shape()) == mask.to_vector<uint8_t>());
      CHECK(code.bytes.elements() <= (n + 7) / 8);
      if (n == 100003) CHECK(code.gaps == (kept <= 0.1));
    }
  // Runs of dropped elements around what one byte counts, and behind the last kept one.
  for (const int64_t gap : {0, 1, 254, 255, 256, 509, 510, 511})
    for (const int64_t behind : {0, 1, 254, 255, 600}) {
      const Tensor mask = Tensor::zeros({gap + 1 + behind}, DType::u8);
      mask.data<uint8_t>()[gap] = 1;
      CHECK(decoded(encode_mask(mask), mask.shape()) == mask.to_vector<uint8_t>());
    }
}

TEST_CASE("gaps that do not end where the mask does are refused") {
  const auto gaps = [](std::vector<uint8_t> bytes) {
    return mask_from_gaps(Tensor::from(bytes, {int64_t(bytes.size())}), {10}).has_value();
  };
  CHECK(gaps({9}));
  CHECK(gaps({0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  CHECK_FALSE(gaps({10}));
  CHECK_FALSE(gaps({9, 0}));
  CHECK_FALSE(gaps({255}));
  const Tensor none = Tensor::from(std::vector<uint8_t>{5}, {1});
  CHECK(mask_from_gaps(none, {6 + 254}).has_value());
  CHECK_FALSE(mask_from_gaps(none, {6 + 255}).has_value());
  CHECK_FALSE(mask_from_gaps(none, {int64_t(1) << 50}).has_value());
}
