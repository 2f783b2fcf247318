#include <doctest/doctest.h>
#include <zlib.h>

#include "core/error.h"
#include "datasets/idx.h"

using namespace pare;

namespace {

std::vector<uint8_t> sample() {
  std::vector<uint8_t> b{0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 2};
  for (uint8_t i = 0; i < 6; ++i) b.push_back(uint8_t(i * 40));
  return b;
}

std::vector<uint8_t> gzip(const std::vector<uint8_t>& in) {
  z_stream s{};
  REQUIRE(deflateInit2(&s, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::vector<uint8_t> out(in.size() + 100);
  s.next_in = const_cast<Bytef*>(in.data());
  s.avail_in = uInt(in.size());
  s.next_out = out.data();
  s.avail_out = uInt(out.size());
  REQUIRE(deflate(&s, Z_FINISH) == Z_STREAM_END);
  out.resize(s.total_out);
  deflateEnd(&s);
  return out;
}

}  // namespace

TEST_CASE("idx files are read plain and gzipped") {
  for (const auto& bytes : {sample(), gzip(sample())}) {
    const IdxFile file = parse_idx(bytes, "f");
    CHECK(file.extents == std::vector<int64_t>{3, 2});
    CHECK(file.bytes == std::vector<uint8_t>{0, 40, 80, 120, 160, 200});
  }
}

TEST_CASE("damaged idx files are refused, whatever byte is cut or flipped") {
  const auto packed = gzip(sample());
  for (size_t n = 0; n < packed.size(); ++n)
    CHECK_THROWS_AS(parse_idx(std::span(packed).first(n), "f"), Error);
  for (size_t n = 0; n < sample().size(); ++n) {
    const auto plain = sample();
    CHECK_THROWS_AS(parse_idx(std::span(plain).first(n), "f"), Error);
  }
  for (size_t i = 10; i < packed.size(); ++i) {  // the gzip header's own fields are free text
    auto flipped = packed;
    flipped[i] ^= 0x10;
    CHECK_THROWS_AS(parse_idx(flipped, "f"), Error);
  }
  auto lying = sample();
  lying[4] = 0x7f;
  CHECK_THROWS_WITH_AS(parse_idx(lying, "f"), doctest::Contains("declares more than"), Error);
  lying = sample();
  lying.push_back(1);
  CHECK_THROWS_WITH_AS(parse_idx(lying, "f"), doctest::Contains("its header declares 6"), Error);
  CHECK_THROWS_WITH_AS(parse_idx(gzip(lying), "f"), doctest::Contains("header declares"), Error);
  CHECK_THROWS_WITH_AS(read_idx("/no/such/file"), doctest::Contains("no such file"), Error);
}
