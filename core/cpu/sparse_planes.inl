// Images into the planes of a convolution (see sparse.h), where a plane serves one tap of a row of
// the filter, its pixels shifted into place, so that whole vectors of it lie in lines of the cache.
#pragma once

#include <algorithm>

#include "core/cpu/simd.h"
#include "core/cpu/sparse.h"

namespace pare::cpu {
namespace {

// Lanes [first, last) of the vector at p, zeros around; the others are not read.
#if defined(__AVX512F__)
inline Vec<float> lanes_of(const float* p, int first, int last) {
  const auto below = [](int n) { return (1u << n) - 1; };
  return {_mm512_maskz_loadu_ps(__mmask16(below(last) & ~below(first)), p)};
}
#elif defined(__AVX2__)
inline Vec<float> lanes_of(const float* p, int first, int last) {
  const __m256i mask = _mm256_andnot_si256(first_lanes_32(first), first_lanes_32(last));
  return {_mm256_maskload_ps(p, mask)};
}
#else
inline Vec<float> lanes_of(const float* p, int first, int last) {
  Vec<float> r = Vec<float>::zero();
  for (int i = first; i < last; ++i) r.v[i] = p[i];
  return r;
}
#endif

inline void zeros_from(float* p, ptrdiff_t n) {
  for (ptrdiff_t i = 0; i < n; i += Vec<float>::width) Vec<float>::zero().store(p + i);
}

// Rows of a plane as they are. Vectors end in zeros, and may reach into what is written next.
inline void plain_rows(const SparsePlanes& s, const float* x, float* y) {
  using V = Vec<float>;
  const int64_t whole = s.n / V::width * V::width;
  const int left = int(s.n - whole);
  for (int64_t r = 0; r < s.rows; ++r, x += s.n, y += s.y_row) {
    for (int64_t j = 0; j < whole; j += V::width) V::load(x + j).store(y + j);
    if (left) V::load(x + whole, left).store(y + whole);
  }
}

// The same, shifted.
inline void shifted_rows(const SparsePlanes& s, const float* x, ptrdiff_t shift, float* y) {
  using V = Vec<float>;
  constexpr ptrdiff_t width = V::width;
  // Vectors [from, to) lie within the row.
  const ptrdiff_t n = s.n, from = std::min(n, shift < 0 ? (width - 1 - shift) / width * width : 0);
  const ptrdiff_t to = std::max(from, (n - std::max<ptrdiff_t>(shift, 0)) / width * width);
  for (int64_t r = 0; r < s.rows; ++r, x += n, y += n) {
    const auto edge = [&](ptrdiff_t j) {
      const auto first = std::clamp<ptrdiff_t>(-shift - j, 0, width);
      const auto last = std::clamp<ptrdiff_t>(n - shift - j, first, width);
      const V v = first < last ? lanes_of(x + j + shift, int(first), int(last)) : V::zero();
      v.store(y + j);
    };
    for (ptrdiff_t j = 0; j < from; j += width) edge(j);
    for (ptrdiff_t j = from; j < to; j += width) V::load(x + j + shift).store(y + j);
    for (ptrdiff_t j = to; j < n; j += width) edge(j);
  }
}

#if defined(__AVX512F__)
// Three taps around a pixel in one go, from registers: loads across lines would cost as much as
// the stores. `vectors` of a row, or 0: any number.
template <int vectors>
void three_taps(const SparsePlanes& s, const float* x, float* y) {
  const int64_t count = vectors ? vectors : s.n / 16;
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i before = _mm512_add_epi32(lane, _mm512_set1_epi32(16 - int(s.step)));
  const __m512i after = _mm512_add_epi32(lane, _mm512_set1_epi32(int(s.step)));
  float *const left = y, *const middle = y + s.y_step, *const right = y + 2 * s.y_step;
  int64_t at = 0;
  for (int64_t r = 0; r < s.rows; ++r) {
    __m512 last = _mm512_setzero_ps(), here = _mm512_loadu_ps(x + at);
#pragma GCC unroll 4
    for (int64_t j = 0; j < count; ++j, at += 16) {
      const __m512 next = j + 1 < count ? _mm512_loadu_ps(x + at + 16) : _mm512_setzero_ps();
      _mm512_storeu_ps(left + at, _mm512_permutex2var_ps(last, before, here));
      _mm512_storeu_ps(middle + at, here);
      _mm512_storeu_ps(right + at, _mm512_permutex2var_ps(here, after, next));
      last = here, here = next;
    }
  }
}
#endif

void sparse_planes(const SparsePlanes& s) {
  for (int64_t i = 0; i < s.count; ++i) {
    const float* x = s.x + s.channels[i] * s.x_step;
    float* const plane = s.y + i * s.taps * s.y_step;
    float* const y = plane + s.head;
    if (s.zeros)
      for (int64_t t = 0; t < s.taps; ++t) zeros_from(plane + t * s.y_step, s.head);
    if (s.taps == 1) {
      plain_rows(s, x, y);
#if defined(__AVX512F__)
    } else if (s.taps == 3 && s.first == -s.step && s.step <= 16) {
      (s.n == 16 ? three_taps<1> : s.n == 32 ? three_taps<2> : three_taps<0>)(s, x, y);
#endif
    } else {
      for (int64_t t = 0; t < s.taps; ++t)
        shifted_rows(s, x, s.first + t * s.step, y + t * s.y_step);
    }
    if (s.zeros)
      for (int64_t t = 0; t < s.taps; ++t) zeros_from(y + t * s.y_step + s.rows * s.y_row, s.tail);
  }
}

}  // namespace
}  // namespace pare::cpu
