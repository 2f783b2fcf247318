#include <doctest/doctest.h>

#include "datasets/cifar.h"

using namespace pare;

namespace {

constexpr int64_t record = 1 + 3072;
constexpr CifarLayout layout{.records = 3, .label_bytes = 1, .classes = 10};

std::vector<uint8_t> sample() {
  std::vector<uint8_t> bytes(3 * record);
  for (int64_t i = 0; i < 3; ++i) {
    bytes[size_t(i * record)] = uint8_t(4 * i);
    for (int64_t k = 1; k < record; ++k) bytes[size_t(i * record + k)] = uint8_t(i * 50 + k % 31);
  }
  return bytes;
}

}  // namespace

TEST_CASE("CIFAR records give labels and planes") {
  const Examples e = parse_cifar(sample(), "f", layout);
  CHECK(e.images.shape() == Shape{3, 3, 32, 32});
  CHECK(e.labels.to_vector<double>() == std::vector<double>{0, 4, 8});
  CHECK(e.images.data<uint8_t>()[3072 + 5] == 50 + 6);
  // With two label bytes the second counts.
  std::vector<uint8_t> fine(2 + 3072, 7);
  fine[1] = 99;
  CHECK(parse_cifar(fine, "f", {.records = 1, .label_bytes = 2, .classes = 100}).labels.item() ==
        99);
}

TEST_CASE("CIFAR files of any other size, or with labels out of range, are refused by name") {
  const auto bytes = sample();
  for (const size_t n : {size_t(0), size_t(1), size_t(record), bytes.size() - 1})
    CHECK_THROWS_WITH_AS(parse_cifar(std::span(bytes).first(n), "short.bin", layout),
                         doctest::Contains("short.bin"), Error);
  auto longer = bytes;
  longer.push_back(0);
  CHECK_THROWS_AS(parse_cifar(longer, "f", layout), Error);
  auto wrong = bytes;
  wrong[size_t(record)] = 10;
  CHECK_THROWS_WITH_AS(parse_cifar(wrong, "labels.bin", layout), doctest::Contains("labels.bin"),
                       Error);
  CHECK_THROWS_WITH_AS(read_cifar({"/no/such.bin"}, layout), doctest::Contains("/no/such.bin"),
                       Error);
}
