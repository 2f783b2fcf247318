// The product of single weights in slices (see sparse.h): four rows side by side, each with columns
// of its own. A weight costs a load of x for each multiply-add, and the loads set the pace: weights
// come by four, offsets by two.
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

// Two offsets in one load; none is negative.
inline void two_offsets(const int32_t* p, size_t* to) {
  uint64_t both;
  std::memcpy(&both, p, sizeof both);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  to[0] = both >> 32, to[1] = uint32_t(both);
#else
  to[0] = uint32_t(both), to[1] = both >> 32;
#endif
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
template <int vectors, bool part, bool apart>
[[gnu::noinline]] void slices_tile(const SparseProduct s, const Places& places, int lanes) {
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
  const int32_t* offset = s.offsets + int64_t(s.starts[0]) * rows;
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
#pragma GCC unroll 8
      for (int r = 0; r < rows; r += 2) two_offsets(offset + r, in + r);
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
