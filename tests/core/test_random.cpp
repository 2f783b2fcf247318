#include <doctest/doctest.h>

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
