// A matrix turned by squares in registers: eight by eight floats with AVX2, four by four otherwise.
#pragma once

#include "core/cpu/simd.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pare::cpu {
namespace {

#if defined(__AVX2__)
constexpr int64_t square = 8;
inline void transpose_square(const float* x, ptrdiff_t x_step, float* y, ptrdiff_t y_step) {
  // Halves of rows 4 apart meet in one register, so that two rounds of shuffles within 128-bit
  // lanes finish the work.
  __m256 a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const float *top = x + i * x_step, *low = x + (i + 4) * x_step;
    a[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top)), _mm_loadu_ps(low), 1);
    a[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(top + 4)),
                                    _mm_loadu_ps(low + 4), 1);
  }
#pragma GCC unroll 2
  for (int h = 0; h < 8; h += 4) {
    b[h] = _mm256_unpacklo_ps(a[h], a[h + 1]);
    b[h + 1] = _mm256_unpackhi_ps(a[h], a[h + 1]);
    b[h + 2] = _mm256_unpacklo_ps(a[h + 2], a[h + 3]);
    b[h + 3] = _mm256_unpackhi_ps(a[h + 2], a[h + 3]);
    _mm256_storeu_ps(y + h * y_step, _mm256_shuffle_ps(b[h], b[h + 2], 0x44));
    _mm256_storeu_ps(y + (h + 1) * y_step, _mm256_shuffle_ps(b[h], b[h + 2], 0xee));
    _mm256_storeu_ps(y + (h + 2) * y_step, _mm256_shuffle_ps(b[h + 1], b[h + 3], 0x44));
    _mm256_storeu_ps(y + (h + 3) * y_step, _mm256_shuffle_ps(b[h + 1], b[h + 3], 0xee));
  }
}
#elif defined(__x86_64__)
constexpr int64_t square = 4;
inline void transpose_square(const float* x, ptrdiff_t x_step, float* y, ptrdiff_t y_step) {
  __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + x_step), c = _mm_loadu_ps(x + 2 * x_step),
         d = _mm_loadu_ps(x + 3 * x_step);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(y, a);
  _mm_storeu_ps(y + y_step, b);
  _mm_storeu_ps(y + 2 * y_step, c);
  _mm_storeu_ps(y + 3 * y_step, d);
}
#else
constexpr int64_t square = 4;
inline void transpose_square(const float* x, ptrdiff_t x_step, float* y, ptrdiff_t y_step) {
  for (int64_t j = 0; j < 4; ++j)
    for (int64_t i = 0; i < 4; ++i) y[j * y_step + i] = x[i * x_step + j];
}
#endif

// A square, or the part of one at an edge.
inline void transpose_at(const float* x, int64_t rows, int64_t columns, ptrdiff_t x_step, float* y,
                         ptrdiff_t y_step) {
  if (rows >= square && columns >= square) return transpose_square(x, x_step, y, y_step);
  for (int64_t j = 0; j < columns && j < square; ++j)
    for (int64_t i = 0; i < rows && i < square; ++i) y[j * y_step + i] = x[i * x_step + j];
}

// y[j * y_step + i] = x[i * x_step + j]. Rows of x or of y that lie far apart can share a few sets
// of the cache, so a line of theirs is used whole at once: of x by strips of columns, of y by
// blocks of 16.
void transpose(const float* x, int64_t rows, int64_t columns, ptrdiff_t x_step, float* y,
               ptrdiff_t y_step) {
  const bool y_apart = y_step > x_step;
  const int64_t strip = y_apart ? 16 : 32, block = y_apart ? 16 : square;
  for (int64_t j0 = 0; j0 < columns; j0 += strip)
    for (int64_t i0 = 0; i0 < rows; i0 += block)
      for (int64_t j = j0; j < columns && j < j0 + strip; j += square)
        for (int64_t i = i0; i < rows && i < i0 + block; i += square)
          transpose_at(x + i * x_step + j, rows - i, columns - j, x_step, y + j * y_step + i,
                       y_step);
}

}  // namespace
}  // namespace pare::cpu
