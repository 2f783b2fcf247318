#include <doctest/doctest.h>

#include <bit>
#include <cmath>

#include "core/error.h"
#include "core/random.h"

using namespace pare;

TEST_CASE("philox gives the published known answers") {
  // Random123 kat_vectors, philox4x32 10 rounds.
  CHECK(philox(0, 0, 0) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~0ull, ~0ull, ~0ull) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}

TEST_CASE("errors name what was found and what is close") {
  CHECK_THROWS_WITH(check(false, "found {}, expected {}", 3, "four"), "found 3, expected four");
  const std::string_view known[] = {"lenet5", "resnet20"};
  CHECK(suggest("lenet6", known, 2) == " (did you mean 'lenet5'?)");
}

TEST_CASE("normal numbers: the same bits everywhere, and of mean 0 and variance 1") {
  Rng rng(7);
  double sum = 0, squares = 0;
  uint64_t bits = 0;
  for (int i = 0; i < 20000; ++i) {
    const double v = rng.normal();
    sum += v;
    squares += v * v;
    bits = mix_keys(bits, std::bit_cast<uint64_t>(v));
  }
  CHECK(std::fabs(sum / 20000) < 0.02);
  CHECK(std::fabs(squares / 20000 - 1) < 0.03);
  CHECK(bits == 7555824240402038848ull);
}
