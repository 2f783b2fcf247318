// The sparse kernels, compiled once per instruction set (see sparse.h).
#include <type_traits>

#include "core/cpu/kernels/simd.h"
#include "core/cpu/kernels/sparse.h"
#include "core/cpu/kernels/sparse_planes.inl"
#include "core/cpu/kernels/sparse_slices.inl"
#include "core/cpu/kernels/transpose.inl"

namespace pare::cpu {
namespace {

using V = Vec<float>;

// Most vectors of positions a block takes at a time: as many as leave registers for its sums.
constexpr int most_vectors(SparseForm form) {
  const bool wide = V::width == 16;
  if (form == SparseForm::slices) return wide ? 6 : 3;
  const int rows = shape_of(form).rows;
  return rows == 1 ? 8 : rows == 4 ? (wide ? 6 : 2) : (wide ? 2 : 1);
}

// Block b of outputs that share columns over one tile, as a slice is run.
template <SparseForm form, int vectors, bool part, bool apart>
[[gnu::always_inline]] inline void block(const SparseProduct& s,
                                         const Tile<vectors, part, apart>& tile, int64_t b,
                                         const float*& w, const int32_t*& offset) {
  constexpr int rows = shape_of(form).rows, run = shape_of(form).run;
  const int64_t first = b * rows, left = s.outputs - first;
  V acc[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j)
      acc[r][j] =
          s.load_y && r < left ? tile.load_y(tile.y + (first + r) * s.y_step, j) : V::zero();
  for (const int32_t* const end = s.offsets + s.starts[b + 1]; offset != end;
       ++offset, w += run * rows) {
    ptrdiff_t in = *offset;
#pragma GCC unroll 4
    for (int k = 0; k < run; ++k, in += s.run_step) {
      V column[vectors];
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) column[j] = tile.load_x(in, j);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        const V weight = V::set(w[k * rows + r]);
#pragma GCC unroll 8
        for (int j = 0; j < vectors; ++j) acc[r][j] = fma(column[j], weight, acc[r][j]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
    if (r < left) finish(s, tile, acc[r], first + r);
}

// All blocks over one tile, or each over several before the next: then lines of y which tiles share
// are whole when they leave the first cache, and x is read in long runs. By value: what is stored
// could otherwise be the arguments.
template <SparseForm form, int vectors, bool part, bool apart, bool several, class Offset>
[[gnu::noinline]] void run_tiles(const SparseProduct s, const Offset* offset, const Places* places,
                                 int tiles, int lanes) {
  constexpr SparseShape shape = shape_of(form);
  constexpr int stored = shape.rows * shape.run;
  const int64_t blocks = (s.outputs + shape.rows - 1) / shape.rows;
  const auto run = [&](const auto& tile, int64_t b, const float*& w, const Offset*& at)
                       __attribute__((always_inline)) {
                         if constexpr (form == SparseForm::slices)
                           slice(s, tile, b, w, at);
                         else
                           block<form>(s, tile, b, w, at);
                       };
  const float* w = s.values + int64_t(s.starts[0]) * stored;
  offset += int64_t(s.starts[0]) * (shape.shared ? 1 : shape.rows);
  const Tile<vectors, part, apart> only(s, places[0], lanes);
  for (int64_t b = 0; b < blocks; ++b) {
    if constexpr (several) {
      const float* const first = w;
      const Offset* const first_offset = offset;
      for (int t = 0; t < tiles; ++t) {
        w = first, offset = first_offset;
        run(Tile<vectors, part, apart>(s, places[t], lanes), b, w, offset);
      }
    } else {
      run(only, b, w, offset);
    }
  }
}

// Tiles of as many vectors each.
template <SparseForm form, int vectors, bool part, bool apart>
void sparse_tiles(const SparseProduct& s, const Places* places, int tiles, int lanes) {
  const auto run = [&](auto several) {
    if constexpr (form == SparseForm::slices)
      if (s.short_offsets)
        return run_tiles<form, vectors, part, apart, several>(s, s.short_offsets, places, tiles,
                                                              lanes);
    run_tiles<form, vectors, part, apart, several>(s, s.offsets, places, tiles, lanes);
  };
  tiles > 1 ? run(std::true_type{}) : run(std::false_type{});
}
template <SparseForm form, int vectors>
void sparse_tiles(int wanted, bool apart, const SparseProduct& s, const Places* places, int tiles) {
  if constexpr (vectors > 1)
    if (wanted != vectors) return sparse_tiles<form, vectors - 1>(wanted, apart, s, places, tiles);
  if (apart)
    sparse_tiles<form, vectors, false, true>(s, places, tiles, 0);
  else
    sparse_tiles<form, vectors, false, false>(s, places, tiles, 0);
}

// The vectors of each row are cut into nearly equal tiles across rows; the last vector of a row
// moves back to end with it, and computes some positions again. Fewer positions than lanes are
// masked. Long runs of positions take some like tiles together.
template <SparseForm form>
void product_of(const SparseProduct& s) {
  constexpr int most = most_vectors(form), most_tiles = 8;
  Places places[most_tiles];
  if (s.positions < V::width) {
    places[0] = {};
    return sparse_tiles<form, 1, true, false>(s, places, 1, int(s.positions));
  }
  const int widest = s.tile ? std::min(s.tile, most) : most;
  const int64_t row = s.row ? s.row : s.positions, in_row = (row + V::width - 1) / V::width;
  const int64_t vectors = s.positions / row * in_row, tiles = (vectors + widest - 1) / widest;
  const int64_t each = vectors / tiles, over = vectors % tiles;
  const int together = s.row || s.tile || s.positions <= 64 ? 1 : most_tiles;
  int held = 0, count = 0;  // tiles, and vectors of each
  bool held_apart = false;
  const auto flush = [&] {
    if (held) sparse_tiles<form, most>(count, held_apart, s, places, held);
    held = 0;
  };
  int64_t i = 0, j = 0, carry = 0;  // row and place there of the next vector
  for (int64_t t = 0; t < tiles; ++t) {
    carry += over;
    const int n = int(each) + (carry >= tiles);
    if (carry >= tiles) carry -= tiles;
    if (held == together || n != count) flush();
    Places& tile = places[held];
    bool apart = false;
    for (int v = 0; v < n; ++v) {
      const int64_t q = j + 1 == in_row ? row - V::width : j * V::width;
      tile.x[v] = i * s.x_row + q;
      tile.y[v] = i * row + q;
      apart =
          apart || tile.x[v] != tile.x[0] + v * V::width || tile.y[v] != tile.y[0] + v * V::width;
      if (++j == in_row) j = 0, ++i;
    }
    if (held && apart != held_apart) {
      const Places last = tile;
      flush();
      places[0] = last;
    }
    count = n, held_apart = apart;
    ++held;
  }
  flush();
}

void sparse_product(const SparseProduct& s) {
  switch (s.form) {
    case SparseForm::rows:
      return product_of<SparseForm::rows>(s);
    case SparseForm::slices:
      return product_of<SparseForm::slices>(s);
    case SparseForm::blocks_4x1:
      return product_of<SparseForm::blocks_4x1>(s);
    case SparseForm::blocks_8x1:
      return product_of<SparseForm::blocks_8x1>(s);
    case SparseForm::blocks_1x4:
      return product_of<SparseForm::blocks_1x4>(s);
  }
}

#if PARE_HALF_VECTORS
using Eight = HalfVec<float>;
#else
using Eight = Vec<float>;
#endif
constexpr int parts_of_eight = 8 / Eight::width;

template <int blocks>
void sparse_row_blocks(const SparseRow& s, int64_t first) {
  Eight acc[blocks][parts_of_eight];
  const float* w[blocks];
  const int32_t* columns[blocks];
  int32_t length[blocks];
  for (int b = 0; b < blocks; ++b) {
    const int32_t start = s.starts[first + b];
    length[b] = s.starts[first + b + 1] - start;
    w[b] = s.values + int64_t(start) * 8;
    columns[b] = s.columns + start;
    for (int j = 0; j < parts_of_eight; ++j) acc[b][j] = Eight::zero();
  }
  const auto step = [&](int b, int32_t i) {
    const Eight x = Eight::set(s.x[columns[b][i]]);
    for (int j = 0; j < parts_of_eight; ++j)
      acc[b][j] = fma(x, Eight::load(w[b] + int64_t(i) * 8 + j * Eight::width), acc[b][j]);
  };
  const int32_t shortest = length[blocks - 1];
  for (int32_t i = 0; i < shortest; ++i)
#pragma GCC unroll 4
    for (int b = 0; b < blocks; ++b) step(b, i);
#pragma GCC unroll 4
  for (int b = 0; b < blocks; ++b) {
    for (int32_t i = shortest; i < length[b]; ++i) step(b, i);
    const int64_t o = int64_t(s.order[first + b]) * 8;
    for (int j = 0; j < parts_of_eight; ++j) {
      const int64_t at = o + j * Eight::width, left = s.outputs - at;
      if (left <= 0) break;
      Eight y = acc[b][j] + Eight::load(s.bias + at);
      if (s.relu) y = max0(y);
      if (left >= Eight::width)
        y.store(s.y + at);
      else
        y.store(s.y + at, int(left));
    }
  }
}

void sparse_row(const SparseRow& s) {
  int64_t b = 0;
  for (; b + 4 <= s.blocks; b += 4) sparse_row_blocks<4>(s, b);
  if (s.blocks - b == 3) sparse_row_blocks<3>(s, b);
  if (s.blocks - b == 2) sparse_row_blocks<2>(s, b);
  if (s.blocks - b == 1) sparse_row_blocks<1>(s, b);
}

// The sum of each of eight vectors.
inline void sums_of_eight(const V* v, float* out) {
#if defined(__AVX2__)
  __m256 s[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
#if defined(__AVX512F__)
    s[i] = _mm256_add_ps(_mm512_castps512_ps256(v[i].v), _mm512_extractf32x8_ps(v[i].v, 1));
#else
    s[i] = v[i].v;
#endif
  const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(s[0], s[1]), _mm256_hadd_ps(s[2], s[3]));
  const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(s[4], s[5]), _mm256_hadd_ps(s[6], s[7]));
  _mm256_storeu_ps(
      out, _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)));
#else
  for (int i = 0; i < 8; ++i) out[i] = (v[i].v[0] + v[i].v[1]) + (v[i].v[2] + v[i].v[3]);
#endif
}

// Short groups of eight repeat their last column.
void sparse_sampled(const SparseSampled& s) {
  constexpr int vectors = 64 / V::width;
  for (int64_t o = s.first; o < s.last; ++o) {
    V g[vectors];
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) g[j] = V::load(s.g + o * 64 + j * V::width);
    const int32_t end = s.starts[o + 1];
    for (int32_t i = s.starts[o]; i < end; i += 8) {
      V acc[8];
#pragma GCC unroll 8
      for (int e = 0; e < 8; ++e) {
        const float* x = s.x + int64_t(s.columns[i + e < end ? i + e : end - 1]) * 64;
        acc[e] = V::zero();
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) acc[e] = fma(V::load(x + j * V::width), g[j], acc[e]);
      }
      float sums[8];
      sums_of_eight(acc, sums);
      for (int e = 0; e < 8 && i + e < end; ++e)
        s.out[i + e] = s.add ? s.out[i + e] + sums[e] : sums[e];
    }
  }
}

// By value: what is stored could otherwise be the arguments.
template <bool residual, bool relu>
void copy_rows(const SparseCopy c) {
  const int64_t whole = c.n / V::width * V::width;
  const int left = int(c.n - whole);
  const float *x = c.x, *r = c.residual;
  float* y = c.y;
  const auto take = [](V v, V add) {
    if constexpr (residual) v = v + add;
    if constexpr (relu) v = max0(v);
    return v;
  };
  for (int64_t i = 0; i < c.rows; ++i, x += c.x_step, y += c.y_step) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < whole; j += V::width)
      take(V::load(x + j), residual ? V::load(r + j) : V::zero()).store(y + j);
    if (left)
      take(V::load(x + whole, left), residual ? V::load(r + whole, left) : V::zero())
          .store(y + whole, left);
    if constexpr (residual) r += c.y_step;
  }
}
void sparse_copy(const SparseCopy& c) {
  if (c.residual)
    c.relu ? copy_rows<true, true>(c) : copy_rows<true, false>(c);
  else
    c.relu ? copy_rows<false, true>(c) : copy_rows<false, false>(c);
}

void zero_out(float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += V::width) V::zero().store(x + i);
}

constexpr SparseKernels sparse_table{V::width,    Aside::most,  sparse_product, sparse_row,
                                     to_lanes,    from_lanes,   sparse_sampled, sparse_planes,
                                     sparse_copy, every_second, zero_out};

}  // namespace
}  // namespace pare::cpu
