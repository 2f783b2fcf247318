// Rows of a matrix into the lanes of vectors, and back, in registers. On the side of the lanes the
// usual steps are known when this is compiled, so that addresses cost nothing. The other side goes
// by few rows at a time and long strips of them, for rows 4 KiB apart share a set of the cache.
#pragma once

#include <algorithm>

#include "core/cpu/kernels/simd.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pare::cpu {
namespace {

// Four columns of `square` rows, row(k) pointing at row k's, become four rows: out(c)[k].
#if defined(__AVX2__)
constexpr int64_t square = 8;
template <class Row, class Out>
inline void turn(Row row, Out out) {
  // Rows 4 apart meet in one register, so that two rounds of shuffles within 128-bit lanes finish
  // the work.
  __m256 a[4];
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k)
    a[k] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row(k))),
                                _mm_loadu_ps(row(k + 4)), 1);
  const __m256 b = _mm256_unpacklo_ps(a[0], a[1]), c = _mm256_unpackhi_ps(a[0], a[1]);
  const __m256 d = _mm256_unpacklo_ps(a[2], a[3]), e = _mm256_unpackhi_ps(a[2], a[3]);
  _mm256_storeu_ps(out(0), _mm256_shuffle_ps(b, d, 0x44));
  _mm256_storeu_ps(out(1), _mm256_shuffle_ps(b, d, 0xee));
  _mm256_storeu_ps(out(2), _mm256_shuffle_ps(c, e, 0x44));
  _mm256_storeu_ps(out(3), _mm256_shuffle_ps(c, e, 0xee));
}
#elif defined(__x86_64__)
constexpr int64_t square = 4;
template <class Row, class Out>
inline void turn(Row row, Out out) {
  __m128 a = _mm_loadu_ps(row(0)), b = _mm_loadu_ps(row(1)), c = _mm_loadu_ps(row(2)),
         d = _mm_loadu_ps(row(3));
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(out(0), a);
  _mm_storeu_ps(out(1), b);
  _mm_storeu_ps(out(2), c);
  _mm_storeu_ps(out(3), d);
}
#else
constexpr int64_t square = 4;
template <class Row, class Out>
inline void turn(Row row, Out out) {
  for (int c = 0; c < 4; ++c)
    for (int k = 0; k < 4; ++k) out(c)[k] = row(k)[c];
}
#endif

constexpr int64_t line = 16;  // rows that fill a line of the cache

// Columns, or rows, that take half of the first cache on the side of the lanes.
constexpr int64_t strip(int64_t lanes) {
  return lanes == 0 ? line : std::max<int64_t>(4096 / lanes / line, 1) * line;
}

// Squares that lie across an end of the matrix move back to end with it.
template <int64_t known>
void rows_to_lanes(const float* x, int64_t rows, int64_t columns, ptrdiff_t x_step, float* y,
                   int64_t given) {
  const int64_t lanes = known ? known : given;
  for (int64_t j0 = 0; j0 < columns; j0 += strip(lanes)) {
    const int64_t end = std::min(columns, j0 + strip(lanes));
    if (rows < square || columns < square) {
      for (int64_t j = j0; j < end; ++j)
        for (int64_t i = 0; i < rows; ++i) y[j * lanes + i] = x[i * x_step + j];
      continue;
    }
    for (int64_t i0 = 0; i0 < rows; i0 += square) {
      const int64_t i = std::min(i0, rows - square);
      const float* from[square];
#pragma GCC unroll 8
      for (int k = 0; k < square; ++k) from[k] = x + (i + k) * x_step;
      const auto at = [&](int64_t j) {
        float* to = y + j * lanes + i;
#pragma GCC unroll 2
        for (int q = 0; q < square; q += 4)
          turn([&](int k) { return from[k] + j + q; }, [&](int c) { return to + (q + c) * lanes; });
      };
      int64_t j = j0;
      for (; j + square <= end; j += square) at(j);
      if (j < end) at(end - square);
    }
  }
}

template <int64_t known>
void lanes_to_rows(const float* x, int64_t rows, int64_t columns, float* y, ptrdiff_t y_step,
                   int64_t given) {
  const int64_t lanes = known ? known : given;
  for (int64_t i0 = 0; i0 < rows; i0 += strip(lanes)) {
    const int64_t end = std::min(rows, i0 + strip(lanes));
    if (rows < line || columns < 4) {
      for (int64_t j = 0; j < columns; ++j)
        for (int64_t i = i0; i < end; ++i) y[j * y_step + i] = x[i * lanes + j];
      continue;
    }
    for (int64_t j0 = 0; j0 < columns; j0 += 4) {
      const int64_t j = std::min(j0, columns - 4);
      float* to[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) to[k] = y + (j + k) * y_step;
      const auto at = [&](int64_t i) {
        const float* from = x + i * lanes + j;
#pragma GCC unroll 4
        for (int64_t h = 0; h < line; h += square)
          turn([&](int k) { return from + (h + k) * lanes; }, [&](int c) { return to[c] + i + h; });
      };
      int64_t i = i0;
      for (; i + line <= end; i += line) at(i);
      if (i < end) at(end - line);
    }
  }
}

void to_lanes(const float* x, int64_t rows, int64_t columns, ptrdiff_t x_step, float* y,
              int64_t lanes) {
  switch (lanes) {
    case 8:
      return rows_to_lanes<8>(x, rows, columns, x_step, y, lanes);
    case 16:
      return rows_to_lanes<16>(x, rows, columns, x_step, y, lanes);
    case 32:
      return rows_to_lanes<32>(x, rows, columns, x_step, y, lanes);
    case 64:
      return rows_to_lanes<64>(x, rows, columns, x_step, y, lanes);
    default:
      return rows_to_lanes<0>(x, rows, columns, x_step, y, lanes);
  }
}

void from_lanes(const float* x, int64_t rows, int64_t columns, int64_t lanes, float* y,
                ptrdiff_t y_step) {
  switch (lanes) {
    case 8:
      return lanes_to_rows<8>(x, rows, columns, y, y_step, lanes);
    case 16:
      return lanes_to_rows<16>(x, rows, columns, y, y_step, lanes);
    case 32:
      return lanes_to_rows<32>(x, rows, columns, y, y_step, lanes);
    case 64:
      return lanes_to_rows<64>(x, rows, columns, y, y_step, lanes);
    default:
      return lanes_to_rows<0>(x, rows, columns, y, y_step, lanes);
  }
}

}  // namespace
}  // namespace pare::cpu
