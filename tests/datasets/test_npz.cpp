#include <doctest/doctest.h>

#include <cstring>

#include "datasets/npz.h"
#include "datasets/zip.h"
#include "tests/support/npz_files.h"

using namespace pare;
using namespace pare::testing;

namespace {

std::string pixels(int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += char(i * 7);
  return out;
}

Members sample() {
  return {{"train_images.npy", npy("|u1", "4, 2, 3", pixels(24))},
          {"train_labels.npy",
           npy("<i8", "4,", little(0, 8) + little(2, 8) + little(1, 8) + little(2, 8))},
          {"test_images.npy", npy("|u1", "1, 2, 3", pixels(6))},
          {"test_labels.npy", npy("|u1", "1, 1", std::string(1, '\1'))},
          {"other.npy", "ignored"}};
}

}  // namespace

TEST_CASE("npz archives, stored, deflated and zip64, give the arrays that were saved") {
  for (const auto& bytes : {zip(sample(), false), zip(sample(), true), zip(sample(), true, true)}) {
    const Dataset d = parse_npz(bytes, "f.npz");
    CHECK(d.train.images.shape() == Shape{4, 1, 2, 3});
    CHECK(d.train.images.dtype() == DType::u8);
    CHECK(d.train.images.data<uint8_t>()[23] == uint8_t(23 * 7));
    CHECK(d.train.labels.to_vector<int32_t>() == std::vector<int32_t>{0, 2, 1, 2});
    CHECK(d.test.labels.item() == 1);
    CHECK(d.classes.size() == 3);
    double mean = 0;
    for (int i = 0; i < 24; ++i) mean += uint8_t(i * 7) / 255.0 / 24;
    CHECK(d.preprocessing.mean[0] == doctest::Approx(mean));
  }
}

TEST_CASE("wider integers that are bytes are bytes") {
  std::string wide;
  for (int i = 0; i < 24; ++i) wide += little(uint8_t(i * 7), 8);
  Members m = sample();
  m[0].second = npy("<i8", "4, 2, 3", wide);
  const Dataset d = parse_npz(zip(m, true), "f.npz"), bytes = parse_npz(zip(sample(), true), "f");
  CHECK(d.train.images.to_vector<uint8_t>() == bytes.train.images.to_vector<uint8_t>());
  CHECK(d.preprocessing == bytes.preprocessing);
}

TEST_CASE("npy arrays in Fortran order, channels last, big-endian floats, versions 2 and 3") {
  Members m = sample();
  // a[i][y][x] = 100 i + 10 y + x, in Fortran order.
  std::string fortran;
  for (int x = 0; x < 3; ++x)
    for (int y = 0; y < 2; ++y)
      for (int i = 0; i < 2; ++i) fortran += char(100 * i + 10 * y + x);
  m[0].second = npy("|u1", "2, 2, 3", fortran, true, 2);
  m[1].second = npy(">u2", "2,", std::string("\0\1\0\0", 4), false, 3);
  const Dataset f = parse_npz(zip(m, true), "f");
  CHECK(f.train.images.to_vector<int32_t>() ==
        std::vector<int32_t>{0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112});
  CHECK(f.train.labels.to_vector<int32_t>() == std::vector<int32_t>{1, 0});

  std::string floats;
  for (int i = 0; i < 12; ++i) {
    const float v = float(i) / 4;
    char bytes[4];
    std::memcpy(bytes, &v, 4);
    for (int k = 3; k >= 0; --k) floats += bytes[k];
  }
  m = sample();
  m[0].second = npy(">f4", "1, 2, 2, 3", floats);
  m[1].second = npy("|i1", "1,", std::string(1, '\0'));
  m[2].second = m[0].second;
  const Dataset last = parse_npz(zip(m, false), "f");
  CHECK(last.train.images.shape() == Shape{1, 3, 2, 2});
  CHECK(last.train.images.to_vector<float>() ==
        std::vector<float>{0, 0.75, 1.5, 2.25, 0.25, 1, 1.75, 2.5, 0.5, 1.25, 2, 2.75});
  CHECK(last.preprocessing.scale == 1);
}

TEST_CASE("what is wrong with an npz file is said, with its name and the array's") {
  const auto fails = [](size_t member, const std::string& data, const char* what) {
    Members m = sample();
    m[member].second = data;
    CHECK_THROWS_WITH_AS(parse_npz(zip(m, true), "my.npz"), doctest::Contains(what), Error);
  };
  fails(0, npy("|u1", "4, 2, 4", pixels(24)), "my.npz: train_images");
  fails(0, npy("<c8", "3,", pixels(24)), "'<c8'");
  fails(0, npy("|u1", "99999999999, 99999999999, 3", pixels(24)), "needs");
  fails(0, npy("<f4", "1, 2, 3", std::string("\0\0\x80\x7f", 4) + pixels(20)), "image 0 holds inf");
  fails(0, npy("|u1", "0, 2, 3", ""), "train");
  fails(
      0, npy("<i2", "1, 2, 3", std::string("\0\1", 2) + pixels(10)),
      "image 0 holds 256; integers are bytes, 0 to 255: save other numbers as floats, images.ast");
  fails(0, npy("|i1", "1, 2, 3", "\xff" + pixels(5)), "image 0 holds -1");
  fails(1, npy("<f4", "1,", pixels(4)), "floating point");
  fails(1, npy("<i4", "3,", std::string(12, '\0')), "train");
  fails(1, npy("<i8", "4,", std::string(32, '\xff')), "label -1 of example 0");
  fails(2, "not an array", "not a .npy array");
  Members m = sample();
  m.erase(m.begin() + 3);
  CHECK_THROWS_WITH_AS(parse_npz(zip(m, true), "my.npz"),
                       doctest::Contains("no array 'test_labels' (or 'y_test'); it holds: train_i"),
                       Error);
  CHECK_THROWS_WITH_AS(parse_npz({}, "empty.npz"), doctest::Contains("not a zip"), Error);

  // Every cut and every flipped byte of the archive is refused or harmless, never worse.
  const auto whole = zip(sample(), true);
  const auto survives = [](std::span<const uint8_t> bytes) {
    try {
      parse_npz(bytes, "f");
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::bad_input);
    }
  };
  for (size_t n = 0; n < whole.size(); ++n) survives(std::span(whole).first(n));
  for (size_t i = 0; i < whole.size(); ++i)
    for (const uint8_t flip : {uint8_t(1), uint8_t(0x80), uint8_t(0xff)}) {
      auto damaged = whole;
      damaged[i] ^= flip;
      survives(damaged);
    }
}
