#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "core/file_io.h"
#include "datasets/image.h"

using namespace pare;

namespace {

Image gradient(int64_t h, int64_t w, int64_t channels) {
  Image image{h, w, channels, {}};
  for (int64_t i = 0; i < h * w * channels; ++i) image.pixels.push_back(uint8_t(i * 7));
  return image;
}

std::string temporary(const char* name) {
  return (std::filesystem::temp_directory_path() / (std::to_string(::getpid()) + name)).string();
}

}  // namespace

TEST_CASE("PNG files come back as written; every cut and flipped byte is refused or harmless") {
  const std::string path = temporary(" ü.png");
  for (const int64_t channels : {1, 3}) {
    const Image image = gradient(9, 13, channels);
    write_png(image, path);
    const Image back = read_png(path);
    CHECK(back.height == 9);
    CHECK(back.channels == channels);
    CHECK(back.pixels == image.pixels);
  }
  const auto bytes = read_file(path, 1 << 20);
  for (size_t n = 0; n < bytes.size() - 12; ++n)  // the end marker may be missing
    CHECK_THROWS_AS(parse_png(std::span(bytes).first(n), "x"), Error);
  for (size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = bytes;
    damaged[i] ^= 0x10;
    try {
      parse_png(damaged, "x");
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::bad_input);
    }
  }
  std::filesystem::remove(path);
  CHECK_THROWS_WITH_AS(read_png("/no/such.png"), doctest::Contains("no such file"), Error);
}

TEST_CASE("images become inputs: resized, converted, preprocessed") {
  Image image{4, 4, 1, {}};
  for (int i = 0; i < 16; ++i) image.pixels.push_back(uint8_t(i));
  const Preprocessing p{.scale = 2, .mean = {1}, .deviation = {4}};
  const Tensor x = to_input(image, {1, 2, 2}, p);
  // Upper left: the mean of 0, 1, 4, 5.
  CHECK(x.data<float>()[0] == doctest::Approx((2.5 * 2 - 1) / 4));
  const Tensor grown = to_input(image, {1, 8, 8}, {.scale = 1});
  CHECK(grown.data<float>()[9] == 0);
  CHECK(grown.data<float>()[63] == 15);
  const Tensor colour = to_input(image, {3, 4, 4}, {.scale = 1});
  CHECK(colour.data<float>()[16 + 5] == 5);
  Image red{1, 1, 3, {255, 0, 0}};
  CHECK(to_input(red, {1, 1, 1}, {.scale = 1}).item() == doctest::Approx(76.245));
  CHECK_THROWS_AS(to_input(image, {2, 4, 4}, {}), Error);
}
