// The product of single weights in slices (see sparse.h): four rows side by side, each with columns
// of its own. A weight costs a load of x for each multiply-add, and the loads set the pace: weights
// come by four, offsets of 16 bits too, else by two.
#pragma once

#include <cstring>

#include "core/cpu/simd.h"
#include "core/cpu/sparse.h"

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

// The end of a row: y = act(sum + bias + residual).
template <int vectors, bool part>
inline void finish(const SparseProduct& s, Vec<float> (&v)[vectors], int64_t output,
                   const ptrdiff_t (&at)[vectors], int lanes) {
  using V = Vec<float>;
  const auto load = [&](const float* p) { return part ? V::load(p, lanes) : V::load(p); };
  const auto all = [&](auto f) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) f(j);
  };
  const int64_t row = output * s.y_step;
  if (s.bias) all([&, bias = V::set(s.bias[output])](int j) { v[j] = v[j] + bias; });
  if (s.residual) all([&](int j) { v[j] = v[j] + load(s.residual + row + at[j]); });
  if (s.relu) all([&](int j) { v[j] = max0(v[j]); });
  all([&](int j) {
    if (part)
      v[j].store(s.y + row + at[j], lanes);
    else
      v[j].store(s.y + row + at[j]);
  });
}

// All slices over a tile of positions: vectors that adjoin, or (apart) lie where they are said to;
// or the first `lanes` of one vector (part). By value: what is stored could otherwise be the
// arguments.
template <int vectors, bool part, bool apart, class Offset>
[[gnu::noinline]] void slices_tile(const SparseProduct s, const Offset* offset,
                                   const Places& places, int lanes) {
  constexpr int rows = shape_of(SparseForm::slices).rows;
  using V = Vec<float>;
  const auto load = [&](const float* p) { return part ? V::load(p, lanes) : V::load(p); };
  const float* x[vectors];
  ptrdiff_t at[vectors];  // in y
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    x[j] = s.x + (apart ? places.x[j] : places.x[0] + j * V::width);
    at[j] = apart ? places.y[j] : places.y[0] + j * V::width;
  }
  const int64_t slices = (s.outputs + rows - 1) / rows;
  const float* w = s.values + int64_t(s.starts[0]) * rows;
  offset += int64_t(s.starts[0]) * rows;
  for (int64_t b = 0; b < slices; ++b) {
    const int32_t* output = s.order + b * rows;
    V acc[rows][vectors];
    if (s.load_y) {
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        const float* y = s.y + output[r] * s.y_step;
#pragma GCC unroll 8
        for (int j = 0; j < vectors; ++j) acc[r][j] = load(y + at[j]);
      }
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int j = 0; j < vectors; ++j) acc[r][j] = V::zero();
    }
    for (const float* const end = s.values + int64_t(s.starts[b + 1]) * rows; w != end;
         w += rows, offset += rows) {
      size_t in[rows];
      four_offsets(offset, in);
      const V fours = V::fours(w);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        const V weight = fours.of_four(r);
#pragma GCC unroll 8
        for (int j = 0; j < vectors; ++j) acc[r][j] = fma(load(x[j] + in[r]), weight, acc[r][j]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) finish<vectors, part>(s, acc[r], output[r], at, lanes);
  }
}

}  // namespace
}  // namespace pare::cpu
