// Masks as they lie in files: every code gives the mask back, and the shortest one is taken.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>

#include "autograd/mask_code.h"
#include "autograd/mask_cover.h"
#include "autograd/run_code.h"
#include "autograd/weight_matrix.h"
#include "core/random.h"

using namespace pare;

namespace {

Tensor random_mask(int64_t n, double kept, uint64_t seed) {
  const Tensor mask = Tensor::empty({n}, DType::u8);
  Rng rng(seed);
  for (int64_t i = 0; i < n; ++i) mask.data<uint8_t>()[i] = rng.uniform() < kept;
  return mask;
}

// keep(row, column) of the weight's matrix.
template <class F>
Tensor mask_of(const Shape& shape, F&& keep) {
  const Tensor mask = Tensor::empty(shape, DType::u8);
  const WeightMatrix m(shape);
  for (int64_t r = 0; r < m.rows; ++r)
    for (int64_t c = 0; c < m.columns; ++c)
      mask.data<uint8_t>()[r * m.columns + m.offset(c)] = keep(r, c) ? 1 : 0;
  return mask;
}

// Tiles of which a share is kept, none of its extents whole by chance.
Tensor tiled_mask(const Shape& shape, int64_t rows, int64_t columns, double kept, uint64_t seed) {
  const WeightMatrix m(shape);
  const int64_t across = (m.columns + columns - 1) / columns;
  const auto tiles = random_mask((m.rows + rows - 1) / rows * across, kept, seed);
  return mask_of(shape, [&](int64_t r, int64_t c) {
    return tiles.data<uint8_t>()[r / rows * across + c / columns];
  });
}

Tensor run_mask(const Shape& shape, int keep, int of, uint64_t seed) {
  const WeightMatrix m(shape);
  Rng rng(seed);
  int64_t left = 0, stay = 0;
  return mask_of(shape, [&](int64_t, int64_t c) {
    if (c % of == 0) {
      left = std::min<int64_t>(of, m.columns - c);
      stay = (left * keep + of - 1) / of;
    }
    const bool kept = rng.uniform() * double(left) < double(stay);
    --left;
    stay -= kept;
    return kept;
  });
}

// What is stored behind the mask in f32.
int64_t stored(const Tensor& mask) {
  int64_t kept = 0;
  for (const uint8_t k : mask.to_vector<uint8_t>()) kept += k != 0;
  return 4 * kept;
}

MaskCode round_trip(const Tensor& mask) {
  const MaskCode code = encode_mask(mask, stored(mask));
  const auto back = decode_mask(code, mask.shape(), stored(mask));
  REQUIRE(back.has_value());
  CHECK(back->to_vector<uint8_t>() == mask.to_vector<uint8_t>());
  CHECK(code.bytes.elements() <= encode_as_bits(mask).bytes.elements());
  return code;
}

bool decodes(MaskCode code, const std::vector<uint8_t>& bytes, const Shape& shape,
             int64_t stored_bytes = 0) {
  code.bytes = Tensor::from(bytes, {int64_t(bytes.size())});
  return decode_mask(code, shape, stored_bytes).has_value();
}

}  // namespace

TEST_CASE("a mask comes back from its code, which is the shortest") {
  for (const int64_t n : {1, 7, 8, 255, 256, 511, 1000, 100003})
    for (const double kept : {0.0, 0.0005, 0.02, 0.1, 0.2, 0.5, 1.0}) {
      CAPTURE(n);
      CAPTURE(kept);
      const MaskCode code = round_trip(random_mask(n, kept, uint64_t(n)));
      if (n == 100003 && kept < 1) CHECK(code.gaps == (kept <= 0.1));
    }
  // Runs of dropped elements around what one byte counts, and behind the last kept one.
  for (const int64_t gap : {0, 1, 254, 255, 256, 509, 510, 511})
    for (const int64_t behind : {0, 1, 254, 255, 600}) {
      const Tensor mask = Tensor::zeros({gap + 1 + behind}, DType::u8);
      mask.data<uint8_t>()[gap] = 1;
      round_trip(mask);
    }
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{3, 0}, Shape{0, 4, 2}})
    round_trip(Tensor::full(shape, 1, DType::u8));
}

TEST_CASE("a mask made of tiles lies as a mask of tiles, smaller at the edges") {
  for (const Shape& shape : {Shape{120, 90}, Shape{50, 13, 5, 5}, Shape{121, 84, 1, 1}})
    for (const auto& [rows, columns] :
         {std::pair{4, 1}, {8, 1}, {1, 4}, {3, 5}, {64, 1}, {2, 64}, {1, 1}})
      for (const double kept : {0.02, 0.1, 0.5}) {
        CAPTURE(to_string(shape));
        CAPTURE(rows);
        CAPTURE(columns);
        CAPTURE(kept);
        const Tensor mask = tiled_mask(shape, rows, columns, kept, 7);
        const MaskCode code = round_trip(mask);
        CHECK(code.tiles() == (rows * columns > 1));
        if (kept == 0.1 && rows == 4) {
          CHECK(code.tile_rows == 4);
          CHECK(code.tile_columns == 1);
          CHECK(code.gaps);
          CHECK(code.bytes.elements() < mask.elements() / 30);
        }
      }
  // A single element off, and the tiles are gone.
  const Tensor broken = tiled_mask({120, 90}, 4, 1, 0.1, 7);
  broken.data<uint8_t>()[55 * 90 + 3] ^= 1;
  CHECK_FALSE(round_trip(broken).tiles());
  // Nothing dropped: one tile.
  CHECK(round_trip(Tensor::full({300, 70}, 1, DType::u8)).bytes.elements() == 1);
}

TEST_CASE("a mask that keeps N of every M lies as the numbers of patterns") {
  for (const Shape& shape : {Shape{120, 96}, Shape{50, 13, 5, 5}, Shape{121, 81}})
    for (const auto& [keep, of] :
         {std::pair{2, 4}, {1, 4}, {1, 2}, {4, 8}, {3, 7}, {16, 32}, {31, 32}, {1, 32}}) {
      CAPTURE(to_string(shape));
      CAPTURE(keep);
      CAPTURE(of);
      const Tensor mask = run_mask(shape, keep, of, 3);
      const MaskCode code = round_trip(mask);
      if (keep == 1 && of == 2 && shape == Shape{120, 96})
        CHECK(code.bytes.elements() == 120 * 48 / 8);
      if (keep == 2 && of == 4 && shape == Shape{120, 96}) {
        CHECK(code.keep == 2);
        CHECK(code.of == 4);
        CHECK(code.bytes.elements() == 120 * 24 / 24 * 8);  // 24 runs a word
      }
      if (keep == 31) CHECK(code.runs());
    }
  // Every pattern of a run has its own number.
  for (const auto& [keep, of] : {std::pair{2, 4}, {3, 7}, {1, 8}}) {
    std::vector<uint8_t> all;
    int64_t rows = 0;
    for (uint32_t bits = 0; bits < 1u << of; ++bits)
      if (std::popcount(bits) == keep) {
        ++rows;
        for (int i = 0; i < of; ++i) all.push_back(uint8_t(bits >> i & 1));
      }
    const auto code = find_runs(all, rows, of);
    REQUIRE(code.has_value());
    const auto bytes = encode_runs(all, *code);
    CHECK(decode_runs(bytes.data(), int64_t(bytes.size()), *code) == all);
  }
}

TEST_CASE(
    "a mask that misses tiles or runs by a few elements keeps those too, where that is shorter") {
  const auto covers = [](const Tensor& mask, int64_t element_bytes) {
    const CoveredMask c = cover_mask(mask, element_bytes);
    const auto must = mask.to_vector<uint8_t>(), may = c.mask.to_vector<uint8_t>();
    for (size_t i = 0; i < must.size(); ++i) REQUIRE(may[i] >= must[i]);
    CHECK(decode_mask(c.code, mask.shape(), 1 << 20)->to_vector<uint8_t>() == may);
    return c.code;
  };
  for (const Shape& shape : {Shape{120, 90}, Shape{50, 13, 5, 5}, Shape{121, 84, 1, 1}}) {
    CAPTURE(to_string(shape));
    for (const auto& [rows, columns] : {std::pair{4, 1}, {8, 1}, {1, 4}}) {
      const Tensor mask = tiled_mask(shape, rows, columns, 0.1, 7);
      mask.data<uint8_t>()[std::find(mask.data<uint8_t>(), mask.data<uint8_t>() + 9999, 1) -
                           mask.data<uint8_t>()] = 0;
      CHECK_FALSE(encode_mask(mask, stored(mask)).tiles());
      const MaskCode code = covers(mask, 1);
      CHECK(code.tile_rows == rows);
      CHECK(code.tile_columns == columns);
    }
    const Tensor mask = run_mask(shape, 2, 4, 3);
    for (int64_t i = 0; i < mask.elements(); i += 99) mask.data<uint8_t>()[i] = 0;
    CHECK_FALSE(encode_mask(mask, stored(mask)).runs());
    const MaskCode code = covers(mask, 1);
    CHECK(code.keep == 2);
    CHECK(code.of == 4);
  }
  CHECK(covers(random_mask(10000, 0.5, 1), 1).plain_bits());
  covers(Tensor::zeros({30, 40}, DType::u8), 1);
  covers(Tensor::zeros({0, 4}, DType::u8), 1);
  covers(Tensor::full({}, 1, DType::u8), 1);
}

TEST_CASE("small masks stay in the codes that older programs read") {
  CHECK(encode_mask(tiled_mask({8, 8}, 4, 1, 0.5, 1), 100).plain_bits());
  CHECK(encode_mask(run_mask({8, 8}, 2, 4, 1), 100).plain_bits());
}

TEST_CASE("bytes that are no mask are refused") {
  const MaskCode bits, gaps{.gaps = true};
  CHECK(decodes(gaps, {9}, {10}));
  CHECK(decodes(gaps, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {10}));
  CHECK_FALSE(decodes(gaps, {10}, {10}));
  CHECK_FALSE(decodes(gaps, {9, 0}, {10}));
  CHECK_FALSE(decodes(gaps, {255}, {10}));
  CHECK(decodes(gaps, {5}, {6 + 254}));
  CHECK_FALSE(decodes(gaps, {5}, {6 + 255}));
  CHECK_FALSE(decodes(gaps, {5}, {int64_t(1) << 50}));
  CHECK(decodes(bits, {1, 2}, {10}));
  CHECK_FALSE(decodes(bits, {1}, {10}));
  CHECK_FALSE(decodes(bits, {1, 2, 3}, {10}));

  const MaskCode tiles{.tile_rows = 4, .tile_columns = 3};
  CHECK(decodes(tiles, {0, 0}, {10, 7}));  // nine tiles
  CHECK_FALSE(decodes(tiles, {0}, {10, 7}));
  CHECK_FALSE(decodes(tiles, {0}, {3, 7}));
  CHECK_FALSE(decodes(tiles, {0}, {10, 2}));
  for (const int64_t extent : {int64_t(0), int64_t(-1), INT64_MIN, INT64_MAX})
    for (const bool down : {false, true})
      CHECK_FALSE(decodes({.tile_rows = down ? extent : 2, .tile_columns = down ? 1 : extent}, {0},
                          {10, 7}));
  // A byte stands for 256 elements, no more; those stored behind the mask count.
  const MaskCode wide{.tile_rows = 64, .tile_columns = 64};
  CHECK_FALSE(decodes(wide, {0}, {64, 64}, 14));
  CHECK(decodes(wide, {0}, {64, 64}, 15));
  CHECK_FALSE(decodes(wide, {0}, {int64_t(1) << 30, 64}, 15));
  const Tensor none = Tensor::zeros({640, 64}, DType::u8);
  CHECK_FALSE(encode_mask(none, 0).tiles());

  const MaskCode runs{.keep = 2, .of = 4};
  CHECK(decodes(runs, {5, 0, 0, 0, 0, 0, 0, 0}, {1, 4}));
  CHECK_FALSE(decodes(runs, {6, 0, 0, 0, 0, 0, 0, 0}, {1, 4}));  // six patterns, and no more digits
  CHECK_FALSE(decodes(runs, {0, 0, 0, 0, 0, 0, 0, 1}, {1, 4}));
  CHECK_FALSE(decodes(runs, {5, 0, 0, 0, 0, 0, 0}, {1, 4}));
  CHECK(decodes(runs, {2, 0, 0, 0, 0, 0, 0, 0}, {1, 3}));  // two of three: three patterns
  CHECK_FALSE(decodes(runs, {3, 0, 0, 0, 0, 0, 0, 0}, {1, 3}));
  // 24 digits to the base 6 fill a word; what is left over is no pattern.
  std::vector<uint8_t> words(16, 0);
  CHECK(decodes(runs, words, {1, 100}));
  words[7] = 255;
  CHECK_FALSE(decodes(runs, words, {1, 100}));
  for (const auto& [keep, of] : {std::pair{0, 4}, {4, 4}, {-1, 4}, {2, 33}})
    CHECK_FALSE(decodes({.keep = keep, .of = of}, {0, 0, 0, 0, 0, 0, 0, 0}, {1, 4}));
}
