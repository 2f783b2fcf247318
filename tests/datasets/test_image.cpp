#include <doctest/doctest.h>

#include <unistd.h>
#include <algorithm>

#include <filesystem>

#include "core/file_io.h"
#include "datasets/digits.h"
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

TEST_CASE("colour becomes grey by Rec. 601, and grey as colour stays that grey exactly") {
  const auto grey = [](uint8_t r, uint8_t g, uint8_t b) {
    return to_input({1, 1, 3, {r, g, b}}, {1, 1, 1}, {.scale = 1}).item();
  };
  CHECK(grey(255, 0, 0) == double(76.245f));
  CHECK(grey(0, 255, 0) == double(149.685f));
  CHECK(grey(0, 0, 255) == double(29.07f));
  CHECK(grey(10, 20, 30) == double(18.15f));
  const Preprocessing p{.mean = {0.1307}, .deviation = {0.3081}};
  for (int v = 0; v < 256; ++v) {
    const uint8_t k = uint8_t(v);
    const double one = to_input({1, 1, 1, {k}}, {1, 1, 1}, p).item();
    CHECK(to_input({1, 1, 3, {k, k, k}}, {1, 1, 1}, p).item() == one);
    float trained = 0;
    p.apply(&k, &trained, 1, 0);
    CHECK(one == double(trained));
  }
  const Tensor three = to_input({1, 2, 1, {7, 9}}, {3, 1, 2}, {.scale = 1});
  CHECK(three.to_vector<int>() == std::vector{7, 9, 7, 9, 7, 9});
}

TEST_CASE("an input is drawn as the pixels it came from, side by side") {
  const Preprocessing p{.mean = {0.4914, 0.4822, 0.4465}, .deviation = {0.247, 0.2435, 0.2616}};
  const Image colours = gradient(16, 16, 3);
  CHECK(to_image(to_input(colours, {3, 16, 16}, p), p).pixels == colours.pixels);
  const Image grey = gradient(16, 16, 1);
  const std::vector<Image> images{colours, grey, colours};
  const Image sheet = contact_sheet(images);  // 8 times as large, 2 pixels apart
  CHECK(sheet.height == 128);
  CHECK(sheet.width == 3 * 128 + 2 * 2);
  CHECK(sheet.channels == 3);
  const auto at = [&](int64_t y, int64_t x, int64_t c) {
    return int(sheet.pixels[size_t((y * sheet.width + x) * 3 + c)]);
  };
  CHECK(at(127, 127, 2) == colours.pixels.back());
  CHECK(at(0, 128, 0) == 128);
  for (int c = 0; c < 3; ++c) CHECK(at(127, 130 + 127, c) == grey.pixels.back());
  CHECK(at(8, 260 + 8, 1) == colours.pixels[(16 + 1) * 3 + 1]);
  const std::vector<Image> many(23, grey);
  CHECK(contact_sheet(many).width == 10 * 130 - 2);
  CHECK(contact_sheet(many).height == 3 * 130 - 2);
  CHECK_THROWS_AS(contact_sheet(std::vector{grey, gradient(15, 16, 1)}), Error);
}

TEST_CASE("an example of a data set is drawn from its black to its white") {
  const std::vector<float> x{0, 0.25f, 0.5f, 1, -1, 2, 0, 1, 0, 0, 0.2f, 0.4f};
  const Examples floats{Tensor::from(x, {2, 3, 1, 2}), {}};
  CHECK(to_image(floats, 0, 0, 1).pixels == std::vector<uint8_t>{0, 128, 0, 64, 255, 255});
  CHECK(to_image(floats, 1, -1, 1).pixels == std::vector<uint8_t>{128, 128, 153, 255, 128, 179});
  const Examples bands{Tensor::full({1, 2, 1, 1}, 7, DType::u8), {}};
  CHECK(to_image(bands, 0, 0, 255).pixels == std::vector<uint8_t>{7});
}

TEST_CASE("a picture that is not like the training data gets a note") {
  const Preprocessing mnist{.mean = {0.1307}, .deviation = {0.3081}};
  const auto notes = [&](const Image& image, const Preprocessing& p, const Shape& shape) {
    std::string text;
    for (const std::string& note : picture_notes(image, to_input(image, shape, p), p))
      text += note + '\n';
    return text;
  };
  const Shape size{1, 28, 28};
  const auto flat = [](int64_t h, int64_t w, uint8_t v) {
    return Image{h, w, 1, std::vector<uint8_t>(size_t(h * w), v)};
  };
  CHECK(notes(flat(28, 28, 12), mnist, size)
            .starts_with("all that the network sees of it is one colour (12 of 255)"));
  Image nearly = flat(28, 28, 12);
  nearly.pixels[400] = 15;
  CHECK(notes(nearly, mnist, size).starts_with("all that"));
  nearly.pixels[400] = 30;
  CHECK(notes(nearly, mnist, size).empty());
  CHECK(notes(nearly, {}, size).empty());
  CHECK(notes(flat(28, 28, 0), {}, size).starts_with("all that"));

  CHECK(
      notes(gradient(280, 28, 1), {}, size) ==
      "280 pixels high and 28 wide, it is squeezed into 28x28: its proportions change by a factor "
      "of 10\n");
  CHECK(notes(gradient(28, 40, 1), {}, size).empty());
  CHECK(notes(gradient(7, 7, 1), {}, size) ==
        "7 pixels high and 7 wide, it is enlarged to 28x28\n");
  CHECK(notes(gradient(500, 500, 1), {}, size)
            .find("500 pixels high and 500 wide, it is shrunk to 28x28") != std::string::npos);

  const Preprocessing paper{.mean = {1 - 0.1307}, .deviation = {0.3081}};
  const Preprocessing middle{.mean = {0.48}, .deviation = {0.24}};
  const Examples digits = draw_digits(3, 0, 200);
  for (int64_t i = 0; i < 200; ++i) {
    const Image as_is{28, 28, 1, digits.images.rows(i, i + 1).to_vector<uint8_t>()};
    Image inverted = as_is;
    for (uint8_t& v : inverted.pixels) v = uint8_t(255 - v);
    CHECK(notes(as_is, mnist, size).empty());
    CHECK(notes(inverted, mnist, size) ==
          "it is dark on light, the training data were light on dark; perhaps its colours should "
          "be inverted\n");
    // A frame does not hide it, nor does colour.
    Image framed = inverted;
    for (int64_t y = 0; y < 28; ++y)
      for (int64_t x = 0; x < 28; ++x)
        if (std::min({y, x, 27 - y, 27 - x}) == 0) framed.pixels[size_t(y * 28 + x)] = 0;
    CHECK(notes(framed, mnist, size).starts_with("it is dark on light"));
    const Preprocessing colours{.mean = {0.13, 0.13, 0.13}, .deviation = {0.31, 0.31, 0.31}};
    Image blue{28, 28, 3, {}};
    for (const uint8_t v : inverted.pixels) blue.pixels.insert(blue.pixels.end(), {v, v, 255});
    CHECK(notes(blue, colours, {3, 28, 28}).starts_with("it is dark on light"));
    CHECK(notes(inverted, paper, size).empty());
    CHECK(notes(as_is, paper, size).starts_with("it is light on dark"));
    for (const Image& image : {as_is, inverted}) CHECK(notes(image, middle, size).empty());
  }
}
