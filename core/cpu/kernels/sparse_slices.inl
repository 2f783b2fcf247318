// The product of single weights in slices (see sparse.h): four rows side by side, each with columns
// of its own. A weight costs a load of x for each multiply-add, and the loads set the pace: weights
// come by four, offsets of 16 bits too, else by two.
#pragma once

#include <cstring>

#include "core/cpu/kernels/simd.h"
#include "core/cpu/kernels/sparse.h"

namespace pare::cpu {
namespace {

// Where the vectors of a tile lie.
struct Places {
  ptrdiff_t x[8], y[8];
};

// A slice's four offsets, none negative, in one load or two.
template <class Offset>
inline void four_offsets(const Offset* p, size_t* to) {
  constexpr int bits = 8 * sizeof(Offset), in_load = 64 / bits;
#pragma GCC unroll 4
  for (int i = 0; i < 4; i += in_load) {
    uint64_t all;
    std::memcpy(&all, p + i, sizeof all);
#pragma GCC unroll 4
    for (int k = 0; k < in_load; ++k) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
      to[i + k] = Offset(all >> (64 - bits - k * bits));
#else
      to[i + k] = Offset(all >> (k * bits));
#endif
    }
  }
}

// A tile of positions: vectors that adjoin, or (apart) lie where they are said to, or the first
// `lanes` of one vector (part). Vectors that adjoin share one address: registers are few.
template <int vectors, bool part, bool apart>
struct Tile {
  using V = Vec<float>;
  static constexpr int addresses = apart ? vectors : 1;
  const float* x[addresses];
  float* y;
  ptrdiff_t at_y[addresses];
  int lanes;

  Tile(const SparseProduct& s, const Places& places, int n) : y(s.y + places.y[0]), lanes(n) {
#pragma GCC unroll 8
    for (int j = 0; j < addresses; ++j)
      x[j] = s.x + places.x[j], at_y[j] = places.y[j] - places.y[0];
  }
  // Vector j of a row of x, of y or of what lies as y does.
  V load_x(ptrdiff_t row, int j) const {
    return load(apart ? x[j] + row : x[0] + row + j * V::width);
  }
  V load_y(const float* row, int j) const { return load(row + at(j)); }
  void store_y(V v, float* row, int j) const {
    if (part)
      v.store(row + at(j), lanes);
    else
      v.store(row + at(j));
  }

 private:
  V load(const float* p) const { return part ? V::load(p, lanes) : V::load(p); }
  ptrdiff_t at(int j) const { return apart ? at_y[j] : j * V::width; }
};

// The end of a row: y = act(sum + bias + residual).
template <int vectors, bool part, bool apart>
inline void finish(const SparseProduct& s, const Tile<vectors, part, apart>& tile,
                   Vec<float> (&v)[vectors], int64_t output) {
  using V = Vec<float>;
  const auto all = [&](auto f) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) f(j);
  };
  const int64_t row = output * s.y_step;
  if (s.bias) all([&, bias = V::set(s.bias[output])](int j) { v[j] = v[j] + bias; });
  if (s.residual)
    all([&, from = s.residual + (tile.y - s.y) + row](int j) {
      v[j] = v[j] + tile.load_y(from, j);
    });
  if (s.relu) all([&](int j) { v[j] = max0(v[j]); });
  all([&](int j) { tile.store_y(v[j], tile.y + row, j); });
}

// Slice b over one tile; moves w and offset to the next slice.
template <int vectors, bool part, bool apart, class Offset>
[[gnu::always_inline]] inline void slice(const SparseProduct& s,
                                         const Tile<vectors, part, apart>& tile, int64_t b,
                                         const float*& w, const Offset*& offset) {
  constexpr int rows = shape_of(SparseForm::slices).rows;
  using V = Vec<float>;
  const int32_t* output = s.order + b * rows;
  const float* const end = s.values + int64_t(s.starts[b + 1]) * rows;
  V acc[rows][vectors];
  if (s.load_y) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const float* y = tile.y + output[r] * s.y_step;
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) acc[r][j] = tile.load_y(y, j);
    }
  } else {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) acc[r][j] = V::zero();
  }
  for (; w != end; w += rows, offset += rows) {
    size_t in[rows];
    four_offsets(offset, in);
    const V fours = V::fours(w);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const V weight = fours.of_four(r);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) acc[r][j] = fma(tile.load_x(in[r], j), weight, acc[r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) finish(s, tile, acc[r], output[r]);
}

}  // namespace
}  // namespace pare::cpu
