// A picture's numbers are the same however a PNG file holds them.
#include <doctest/doctest.h>

#include "datasets/image.h"
#include "tests/support/png_bytes.h"

using namespace pare;
using namespace pare::testing;

namespace {

constexpr uint32_t height = 9, width = 13;

// 0, 85, 170 and 255, of which every depth from two bits on has its own.
std::vector<uint32_t> levels(uint32_t step) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < height * width; ++i) out.push_back((i * i / 3 + i) % 4 * step);
  return out;
}

// Every sample as three colours, an opaque alpha behind where asked for.
std::vector<uint32_t> with_channels(const std::vector<uint32_t>& in, size_t colours,
                                    uint32_t alpha) {
  std::vector<uint32_t> out;
  for (const uint32_t v : in) {
    out.insert(out.end(), colours, v);
    if (alpha) out.push_back(alpha);
  }
  return out;
}

std::vector<float> seen(const Image& image) {
  return to_input(image, {1, height, width}, {.scale = 1}).to_vector<float>();
}

Image parse(const PngKind& kind, const std::vector<uint32_t>& samples) {
  return parse_png(png_bytes(height, width, kind, samples), "x.png");
}
Image parse_row(const PngKind& kind, const std::vector<uint32_t>& samples) {
  return parse_png(png_bytes(1, uint32_t(samples.size() / kind.channels()), kind, samples),
                   "x.png");
}

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

// A profile of nothing but a header, as far as libpng reads it, is damaged: it must not matter.
Bytes profile() {
  Bytes data{'x', 0, 0}, packed(64);
  uLongf size = packed.size();
  const Bytes text(20, 'p');
  ::compress(packed.data(), &size, text.data(), text.size());
  data.insert(data.end(), packed.begin(), packed.begin() + std::ptrdiff_t(size));
  return png_chunk("iCCP", data);
}

}  // namespace

TEST_CASE("one picture in every encoding of PNG is the same input") {
  const std::vector<uint32_t> bytes = levels(85);
  const std::vector<float> truth(bytes.begin(), bytes.end());
  const Bytes palette = png_chunk("PLTE", {0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255});
  const std::pair<PngKind, std::vector<uint32_t>> cases[] = {
      {{2, 0}, levels(1)},
      {{4, 0}, levels(5)},
      {{8, 0}, bytes},
      {{16, 0}, levels(85 * 257)},
      {{8, 2}, with_channels(bytes, 3, 0)},
      {{16, 2}, with_channels(levels(85 * 257), 3, 0)},
      {{2, 3, palette}, levels(1)},
      {{4, 3, palette}, levels(1)},
      {{8, 3, palette}, levels(1)},
      {{8, 4}, with_channels(bytes, 1, 255)},
      {{16, 4}, with_channels(levels(85 * 257), 1, 65535)},
      {{8, 6}, with_channels(bytes, 3, 255)},
      {{16, 6}, with_channels(levels(85 * 257), 3, 65535)}};
  for (auto [kind, samples] : cases)
    for (const bool interlaced : {false, true}) {
      kind.interlaced = interlaced;
      CAPTURE(kind.bits);
      CAPTURE(kind.colour);
      CAPTURE(interlaced);
      const Image image = parse(kind, samples);
      CHECK(image.channels == (kind.colour % 4 == 0 ? 1 : 3));
      CHECK(image.notes.empty());
      CHECK(seen(image) == truth);
    }
  std::vector<uint32_t> bits = levels(1);
  for (uint32_t& b : bits) b %= 2;
  for (const bool interlaced : {false, true}) {
    const Image image = parse({1, 0, {}, interlaced}, bits);
    for (size_t i = 0; i < bits.size(); ++i) CHECK(image.pixels[i] == 255 * bits[i]);
  }
}

TEST_CASE("16 bits become the nearest of 8, whatever the file says of gamma and profiles") {
  Bytes gamma;
  put32(gamma, 100000);  // linear light
  Bytes srgb_gamma;
  put32(srgb_gamma, 45455);
  Bytes chromaticities;
  for (const uint32_t v : {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000})
    put32(chromaticities, v);
  for (const Bytes& extra :
       {Bytes{}, png_chunk("gAMA", gamma), png_chunk("sRGB", {0}),
        join({png_chunk("gAMA", srgb_gamma), png_chunk("cHRM", chromaticities)}), profile()}) {
    std::vector<uint32_t> deep, rounded;
    for (uint32_t k = 0; k < 256; ++k) {
      deep.push_back(257 * k);
      rounded.push_back(std::min(257 * k + 128, 65535u));  // below the middle to the next
    }
    const Image image = parse_row({16, 0, extra}, deep);
    const Image near = parse_row({16, 0, extra}, rounded);
    std::vector<uint32_t> shallow(256);
    for (uint32_t k = 0; k < 256; ++k) shallow[k] = k;
    const Image same = parse_row({8, 0, extra}, shallow);
    for (size_t k = 0; k < 256; ++k) {
      CHECK(image.pixels[k] == k);
      CHECK(near.pixels[k] == k);
      CHECK(same.pixels[k] == k);
    }
    CHECK(parse_row({16, 0, extra}, {129, 257 * 254 + 129}).pixels == Bytes{1, 255});
    CHECK(image.notes.empty());
  }
}

TEST_CASE("transparent pixels are laid over black in the file's own numbers") {
  CHECK(parse_row({8, 4}, {200, 255, 200, 128, 200, 0, 7, 64}).pixels == Bytes{200, 100, 0, 2});
  CHECK(parse_row({16, 4}, {51400, 65535, 51400, 32768, 9, 0}).pixels == Bytes{200, 100, 0});
  CHECK(parse_row({8, 6}, {255, 100, 0, 51}).pixels == Bytes{51, 20, 0});
  // tRNS: the grey 5 of 16 bits, not 6; one colour; two entries of a palette.
  CHECK(parse_row({16, 0, png_chunk("tRNS", {0x80, 5})}, {0x8005, 0x8006}).pixels == Bytes{0, 128});
  CHECK(parse_row({2, 0, png_chunk("tRNS", {0, 2})}, {2, 3, 1}).pixels == Bytes{0, 255, 85});
  CHECK(parse_row({8, 2, png_chunk("tRNS", {0, 1, 0, 2, 0, 3})}, {1, 2, 3, 1, 2, 4}).pixels ==
        Bytes{0, 0, 0, 1, 2, 4});
  const Bytes palette =
      join({png_chunk("PLTE", {90, 60, 30, 10, 20, 30, 1, 2, 3}), png_chunk("tRNS", {255, 51})});
  CHECK(parse_row({8, 3, palette}, {0, 1, 2}).pixels == Bytes{90, 60, 30, 2, 4, 6, 1, 2, 3});
}

TEST_CASE("a picture says what its pixels cannot show") {
  const auto notes = [](const PngKind& kind, const std::vector<uint32_t>& samples) {
    std::string text;
    for (const std::string& note : parse_row(kind, samples).notes) text += note + "\n";
    return text;
  };
  CHECK_MESSAGE(notes({8, 4}, {0, 255, 0, 90, 7, 0}).find("alpha alone") != std::string::npos,
                "alpha alone");
  CHECK_MESSAGE(notes({8, 6}, {9, 9, 9, 255, 9, 9, 9, 0}).find("alpha alone") != std::string::npos,
                "alpha alone");
  CHECK(notes({8, 4}, {0, 255, 5, 90}) == "");
  CHECK(notes({8, 4}, {4, 90, 4, 90}) == "");  // a colour, not a drawing
  CHECK_MESSAGE(
      notes({16, 4}, {4000, 0, 50000, 0}).find("every pixel is transparent") != std::string::npos,
      "every pixel is transparent");
  CHECK_MESSAGE(notes({16, 0}, {0, 4095}).find("4095 of 65535") != std::string::npos,
                "4095 of 65535");
  CHECK(notes({16, 0}, {0, 4096}) == "");
  const auto exif = [](uint8_t turn) {
    return png_chunk("eXIf", {'M', 'M', 0, 42, 0, 0, 0,    8, 0, 1, 1, 18, 0,
                              3,   0,   0, 0,  1, 0, turn, 0, 0, 0, 0, 0,  0});
  };
  CHECK_MESSAGE(
      notes({8, 0, exif(6)}, {1, 2}).find("turned by 90 degrees to the right") != std::string::npos,
      "turned by 90 degrees to the right");
  CHECK(notes({8, 0, exif(1)}, {1, 2}) == "");
  const Bytes little{'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 18, 1, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0};
  CHECK_MESSAGE(
      notes({8, 0, png_chunk("eXIf", little)}, {1, 2}).find("upside down") != std::string::npos,
      "upside down");
  CHECK_MESSAGE(notes({8, 0, png_chunk("acTL", {0, 0, 0, 3, 0, 0, 0, 0})}, {1, 2})
                        .find("an animation of 3 pictures") != std::string::npos,
                "an animation of 3 pictures");
}

TEST_CASE("what is no PNG image is named; damaged ones are refused") {
  const std::pair<std::string, const char*> cases[] = {
      {"\xFF\xD8\xFF\xE0 JFIF", "x: a JPEG image; pare reads PNG"},
      {"GIF89a", "x: a GIF image"},
      {"BM6...", "x: a BMP image"},
      {"RIFF1234WEBPVP8 ", "x: a WebP image"},
      {"RIFF1234WAVE", "x: not a PNG image"},
      {std::string("II*\0", 4), "x: a TIFF image"},
      {"....ftypavif", "x: an AVIF image"},
      {"\x89PNG\n\x1A\n", "a transfer as text"},
      {"", "x: an empty file"},
      {"hello", "x: not a PNG image"}};
  for (const auto& [text, says] : cases)
    CHECK_THROWS_WITH_AS(parse_png(Bytes(text.begin(), text.end()), "x"), doctest::Contains(says),
                         Error);
  const Bytes palette = png_chunk("PLTE", {0, 0, 0, 9, 9, 9});
  for (const int bits : {2, 4, 8})
    CHECK_THROWS_WITH_AS(parse_row({bits, 3, palette}, {0, 1, 3}),
                         "x.png: damaged PNG image: colour 3 of a palette of 2", Error);
  Bytes cut = png_bytes(1, 4, {16, 6}, std::vector<uint32_t>(16, 7));
  cut.resize(cut.size() - 20);
  CHECK_THROWS_WITH_AS(parse_png(cut, "x"), doctest::Contains("the file ends too early"), Error);
  Bytes huge = png_bytes(1, 1, {8, 0}, {1});
  put32(huge, 0);
  const Bytes header = png_chunk("IHDR", {0, 0, 0x40, 0, 0, 0, 0x10, 0, 16, 6, 0, 0, 0});
  std::copy(header.begin(), header.end(), huge.begin() + 8);
  CHECK_THROWS_WITH_AS(parse_png(huge, "x"), doctest::Contains("the file is damaged"), Error);
}
