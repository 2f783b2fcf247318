// The sparse kernels, compiled once per instruction set (see sparse.h).
#include "core/cpu/simd.h"
#include "core/cpu/sparse.h"
#include "core/cpu/transpose.inl"

namespace pare::cpu {
namespace {

using V = Vec<float>;

// Most vectors of positions a block takes at a time: as many as leave registers for its sums.
constexpr int most_vectors(int rows) {
  const bool wide = V::width == 16;
  return rows == 1 ? 8 : rows == 4 ? (wide ? 4 : 2) : (wide ? 2 : 1);
}

template <int rows, int run, int vectors, bool part>
void sparse_tile(const SparseProduct& s, int64_t block, int64_t q, int64_t last_at, int lanes) {
  const auto load = [&](const float* p) { return part ? V::load(p, lanes) : V::load(p); };
  const auto at = [&](int j) { return j == vectors - 1 ? last_at : j * int64_t(V::width); };
  const int64_t o = block * rows, left = s.outputs - o, y_step = s.y_step;
  const float *bias = s.bias ? s.bias + o : nullptr, *more = s.residual;
  const bool relu = s.relu;
  float* const y0 = s.y + o * y_step + q;
  if (more) more += o * y_step + q;
  V acc[rows][vectors];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j)
      acc[r][j] = s.load_y && r < left ? load(y0 + r * y_step + at(j)) : V::zero();
  const float* x = s.x + q;
  const int32_t first = s.starts[block], last = s.starts[block + 1];
  const float* w = s.values + int64_t(first) * run * rows;
  for (int32_t i = first; i < last; ++i, w += run * rows) {
    const float* in = x + s.offsets[i];
#pragma GCC unroll 4
    for (int k = 0; k < run; ++k, in += s.run_step) {
      V column[vectors];
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) column[j] = load(in + at(j));
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        const V weight = V::set(w[k * rows + r]);
#pragma GCC unroll 8
        for (int j = 0; j < vectors; ++j) acc[r][j] = fma(column[j], weight, acc[r][j]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    if (r >= left) break;
    float* y = y0 + r * y_step;
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      V v = acc[r][j];
      if (bias) v = v + V::set(bias[r]);
      if (more) v = v + load(more + r * y_step + at(j));
      if (relu) v = max0(v);
      if (part)
        v.store(y + at(j), lanes);
      else
        v.store(y + at(j));
    }
  }
}

// All blocks over `wanted` vectors of positions from q on; the last vector starts at q + last_at.
template <int rows, int run, int vectors>
void sparse_tiles(int wanted, const SparseProduct& s, int64_t q, int64_t last_at) {
  if constexpr (vectors > 1)
    if (wanted != vectors) return sparse_tiles<rows, run, vectors - 1>(wanted, s, q, last_at);
  const int64_t blocks = (s.outputs + rows - 1) / rows;
  for (int64_t b = 0; b < blocks; ++b) sparse_tile<rows, run, vectors, false>(s, b, q, last_at, 0);
}

// Positions are cut into nearly equal tiles; the very last vector moves back to end with the
// positions, and computes some again. Fewer positions than lanes are masked.
template <int rows, int run>
void sparse_rows(const SparseProduct& s) {
  constexpr int most = most_vectors(rows);
  if (s.positions < V::width) {
    const int64_t blocks = (s.outputs + rows - 1) / rows;
    for (int64_t b = 0; b < blocks; ++b)
      sparse_tile<rows, run, 1, true>(s, b, 0, 0, int(s.positions));
    return;
  }
  const int64_t vectors = (s.positions + V::width - 1) / V::width;
  const int64_t tiles = (vectors + most - 1) / most;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t v0 = vectors * t / tiles, v1 = vectors * (t + 1) / tiles, q = v0 * V::width;
    const int64_t whole = (v1 - 1) * V::width, end = s.positions - V::width;
    sparse_tiles<rows, run, most>(int(v1 - v0), s, q, (whole < end ? whole : end) - q);
  }
}

void sparse_product(const SparseProduct& s) {
  if (s.run == 4)
    sparse_rows<1, 4>(s);
  else if (s.rows == 1)
    sparse_rows<1, 1>(s);
  else if (s.rows == 4)
    sparse_rows<4, 1>(s);
  else
    sparse_rows<8, 1>(s);
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

constexpr SparseKernels sparse_table{sparse_product, sparse_row, transpose, sparse_copy, zero_out};

}  // namespace
}  // namespace pare::cpu
