// Images into the planes of a convolution (see sparse.h): one for each channel, or one for each tap
// of a row of the filter, its pixels shifted into place.
#pragma once

#include <algorithm>

#include "core/cpu/kernels/simd.h"
#include "core/cpu/kernels/sparse.h"

namespace pare::cpu {
namespace {

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

// As plain_rows, of every second pixel; reads none behind the last.
void every_second(const SparseCopy& c) {
  using V = Vec<float>;
  constexpr int64_t width = V::width;
  const float* x = c.x;
  float* y = c.y;
  for (int64_t r = 0; r < c.rows; ++r, x += c.x_step, y += c.y_step)
    for (int64_t j = 0; j < c.n; j += width) {
      const int64_t left = 2 * (c.n - j) - 1;  // pixels from here on
      const V a = left >= width ? V::load(x + 2 * j) : V::load(x + 2 * j, int(left));
      const V b = left > 2 * width ? V::load(x + 2 * j + width)
                  : left > width   ? V::load(x + 2 * j + width, int(std::min(left - width, width)))
                                   : V::zero();
      evens(a, b).store(y + j);
    }
}

// A vector's pixels `step` to the left or right, from its neighbour: loads across lines would cost
// as much as the stores.
struct Aside {
  using V = Vec<float>;
#if defined(__AVX512F__)
  static constexpr int most = 16;  // of `step`
  __m512i to_left, to_right;
  explicit Aside(int step) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    to_left = _mm512_add_epi32(lane, _mm512_set1_epi32(16 - step));
    to_right = _mm512_add_epi32(lane, _mm512_set1_epi32(step));
  }
  V left(V before, V v) const { return {_mm512_permutex2var_ps(before.v, to_left, v.v)}; }
  V right(V v, V after) const { return {_mm512_permutex2var_ps(v.v, to_right, after.v)}; }
#elif defined(__AVX2__)
  static constexpr int most = 1;
  explicit Aside(int) {}
  static __m256 middle(V a, V b) { return _mm256_permute2f128_ps(a.v, b.v, 0x21); }
  V left(V before, V v) const {
    return {_mm256_castsi256_ps(
        _mm256_alignr_epi8(_mm256_castps_si256(v.v), _mm256_castps_si256(middle(before, v)), 12))};
  }
  V right(V v, V after) const {
    return {_mm256_castsi256_ps(
        _mm256_alignr_epi8(_mm256_castps_si256(middle(v, after)), _mm256_castps_si256(v.v), 4))};
  }
#else
  static constexpr int most = 1;
  explicit Aside(int) {}
  V left(V before, V v) const { return {{before.v[3], v.v[0], v.v[1], v.v[2]}}; }
  V right(V v, V after) const { return {{v.v[1], v.v[2], v.v[3], after.v[0]}}; }
#endif
};

// A pixel's left neighbour, itself and its right neighbour, `step` away, in one go. `vectors` of a
// row, or 0: any number.
template <int vectors>
void three_taps(const SparsePlanes& s, const float* x, float* y) {
  using V = Vec<float>;
  const int64_t count = vectors ? vectors : s.n / V::width;
  const Aside aside(int(s.step));
  float *const left = y, *const middle = y + s.y_step, *const right = y + 2 * s.y_step;
  int64_t at = 0;
  for (int64_t r = 0; r < s.rows; ++r) {
    V before = V::zero(), v = V::load(x + at);
#pragma GCC unroll 4
    for (int64_t j = 0; j < count; ++j, at += V::width) {
      const V after = j + 1 < count ? V::load(x + at + V::width) : V::zero();
      aside.left(before, v).store(left + at);
      v.store(middle + at);
      aside.right(v, after).store(right + at);
      before = v, v = after;
    }
  }
}

void sparse_planes(const SparsePlanes& s) {
  for (int64_t i = 0; i < s.count; ++i) {
    const float* x = s.x + s.channels[i] * s.x_step;
    float* const plane = s.y + i * s.taps * s.y_step;
    float* const y = plane + s.head;
    if (s.whole) {
      zeros_from(plane, s.y_step);
    } else if (s.edges) {
      for (int64_t t = 0; t < s.taps; ++t) {
        float* const to = plane + t * s.y_step;
        zeros_from(to, s.head);
        zeros_from(to + s.head + s.rows * s.y_row, s.tail);
      }
    }
    if (s.taps == 1) {
      plain_rows(s, x, y);
    } else {
      const int64_t vectors = s.n / Vec<float>::width;
      (vectors == 1   ? three_taps<1>
       : vectors == 2 ? three_taps<2>
       : vectors == 4 ? three_taps<4>
                      : three_taps<0>)(s, x, y);
    }
  }
}

}  // namespace
}  // namespace pare::cpu
