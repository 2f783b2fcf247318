// The few vector operations that kernels are written in, for the instruction set this file is
// compiled for. Everything lives in an unnamed namespace: object files of wide instruction sets
// must not offer the linker a symbol that an old CPU could end up running.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace pare::cpu {
namespace {

template <class T>
struct Vec;

#if defined(__AVX512F__)
template <>
struct Vec<float> {
  static constexpr int width = 16;
  __m512 v;
  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec set(float x) { return {_mm512_set1_ps(x)}; }
  // Four elements, again and again; then one of the four in all lanes.
  static Vec fours(const float* p) { return {_mm512_broadcast_f32x4(_mm_loadu_ps(p))}; }
  Vec of_four(int i) const {
    return {i == 0   ? _mm512_permute_ps(v, 0x00)
            : i == 1 ? _mm512_permute_ps(v, 0x55)
            : i == 2 ? _mm512_permute_ps(v, 0xaa)
                     : _mm512_permute_ps(v, 0xff)};
  }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load(const float* p, int n) {
    return {_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p)};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), v); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
  // a < 0 ? 0 : a; NaN stays.
  friend Vec max0(Vec a) { return {_mm512_max_ps(_mm512_setzero_ps(), a.v)}; }
  // Elements 0, 2, 4, ... of a and then of b.
  friend Vec evens(Vec a, Vec b) {
    const __m512i i = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return {_mm512_permutex2var_ps(a.v, i, b.v)};
  }
  // a > b or a is NaN ? a : b, so that NaN of either stays.
  friend Vec max(Vec a, Vec b) {
    const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    return {_mm512_mask_mov_ps(_mm512_max_ps(a.v, b.v), nan, a.v)};
  }
  // a == b ? x : y
  friend Vec if_equal(Vec a, Vec b, Vec x, Vec y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ), y.v, x.v)};
  }
};
template <>
struct Vec<double> {
  static constexpr int width = 8;
  __m512d v;
  static Vec zero() { return {_mm512_setzero_pd()}; }
  static Vec set(double x) { return {_mm512_set1_pd(x)}; }
  static Vec load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static Vec load(const double* p, int n) {
    return {_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p)};
  }
  void store(double* p) const { _mm512_storeu_pd(p, v); }
  void store(double* p, int n) const { _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), v); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm512_add_pd(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm512_sub_pd(a.v, b.v)}; }
  friend Vec max0(Vec a) { return {_mm512_max_pd(_mm512_setzero_pd(), a.v)}; }
  friend Vec evens(Vec a, Vec b) {
    return {_mm512_permutex2var_pd(a.v, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), b.v)};
  }
  friend Vec max(Vec a, Vec b) {
    const __mmask8 nan = _mm512_cmp_pd_mask(a.v, a.v, _CMP_UNORD_Q);
    return {_mm512_mask_mov_pd(_mm512_max_pd(a.v, b.v), nan, a.v)};
  }
  friend Vec if_equal(Vec a, Vec b, Vec x, Vec y) {
    return {_mm512_mask_blend_pd(_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ), y.v, x.v)};
  }
};
constexpr int tile_rows = 8;

// Half a vector, for panels whose columns would leave most of a whole one empty.
template <class T>
struct HalfVec;
template <>
struct HalfVec<float> {
  static constexpr int width = 8;
  __m256 v;
  static HalfVec zero() { return {_mm256_setzero_ps()}; }
  static HalfVec set(float x) { return {_mm256_set1_ps(x)}; }
  static HalfVec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static HalfVec load(const float* p, int n) {
    return {_mm256_maskz_loadu_ps(__mmask8((1u << n) - 1), p)};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm256_mask_storeu_ps(p, __mmask8((1u << n) - 1), v); }
  friend HalfVec fma(HalfVec a, HalfVec b, HalfVec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  friend HalfVec operator+(HalfVec a, HalfVec b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend HalfVec max0(HalfVec a) { return {_mm256_max_ps(_mm256_setzero_ps(), a.v)}; }
};
template <>
struct HalfVec<double> {
  static constexpr int width = 4;
  __m256d v;
  static HalfVec zero() { return {_mm256_setzero_pd()}; }
  static HalfVec set(double x) { return {_mm256_set1_pd(x)}; }
  static HalfVec load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static HalfVec load(const double* p, int n) {
    return {_mm256_maskz_loadu_pd(__mmask8((1u << n) - 1), p)};
  }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  void store(double* p, int n) const { _mm256_mask_storeu_pd(p, __mmask8((1u << n) - 1), v); }
  friend HalfVec fma(HalfVec a, HalfVec b, HalfVec c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
  friend HalfVec operator+(HalfVec a, HalfVec b) { return {_mm256_add_pd(a.v, b.v)}; }
  friend HalfVec max0(HalfVec a) { return {_mm256_max_pd(_mm256_setzero_pd(), a.v)}; }
};
#define PARE_HALF_VECTORS 1
#elif defined(__AVX2__)
inline __m256i first_lanes_32(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256i first_lanes_64(int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
// The first n lanes in pieces: a masked store takes tens of cycles on AMD's cores.
inline void store_first(float* p, __m256 v, int n) {
  if (n & 8) return _mm256_storeu_ps(p, v);
  __m128 part = _mm256_castps256_ps128(v);
  if (n & 4) {
    _mm_storeu_ps(p, part);
    part = _mm256_extractf128_ps(v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), part);
    part = _mm_movehl_ps(part, part);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, part);
}
inline void store_first(double* p, __m256d v, int n) {
  if (n & 4) return _mm256_storeu_pd(p, v);
  __m128d part = _mm256_castpd256_pd128(v);
  if (n & 2) {
    _mm_storeu_pd(p, part);
    part = _mm256_extractf128_pd(v, 1);
    p += 2;
  }
  if (n & 1) _mm_store_sd(p, part);
}
template <>
struct Vec<float> {
  static constexpr int width = 8;
  __m256 v;
  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec set(float x) { return {_mm256_set1_ps(x)}; }
  static Vec fours(const float* p) {
    return {_mm256_broadcast_ps(reinterpret_cast<const __m128*>(p))};
  }
  Vec of_four(int i) const {
    return {i == 0   ? _mm256_permute_ps(v, 0x00)
            : i == 1 ? _mm256_permute_ps(v, 0x55)
            : i == 2 ? _mm256_permute_ps(v, 0xaa)
                     : _mm256_permute_ps(v, 0xff)};
  }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load(const float* p, int n) { return {_mm256_maskload_ps(p, first_lanes_32(n))}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store(float* p, int n) const { store_first(p, v, n); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend Vec max0(Vec a) { return {_mm256_max_ps(_mm256_setzero_ps(), a.v)}; }
  friend Vec evens(Vec a, Vec b) {
    const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0x88));
    return {_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8))};
  }
  friend Vec max(Vec a, Vec b) {
    const auto nan = _mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q);
    return {_mm256_blendv_ps(_mm256_max_ps(a.v, b.v), a.v, nan)};
  }
  friend Vec if_equal(Vec a, Vec b, Vec x, Vec y) {
    return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ))};
  }
};
template <>
struct Vec<double> {
  static constexpr int width = 4;
  __m256d v;
  static Vec zero() { return {_mm256_setzero_pd()}; }
  static Vec set(double x) { return {_mm256_set1_pd(x)}; }
  static Vec load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static Vec load(const double* p, int n) { return {_mm256_maskload_pd(p, first_lanes_64(n))}; }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  void store(double* p, int n) const { store_first(p, v, n); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm256_add_pd(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm256_sub_pd(a.v, b.v)}; }
  friend Vec max0(Vec a) { return {_mm256_max_pd(_mm256_setzero_pd(), a.v)}; }
  friend Vec evens(Vec a, Vec b) {
    return {_mm256_permute4x64_pd(_mm256_unpacklo_pd(a.v, b.v), 0xd8)};
  }
  friend Vec max(Vec a, Vec b) {
    const auto nan = _mm256_cmp_pd(a.v, a.v, _CMP_UNORD_Q);
    return {_mm256_blendv_pd(_mm256_max_pd(a.v, b.v), a.v, nan)};
  }
  friend Vec if_equal(Vec a, Vec b, Vec x, Vec y) {
    return {_mm256_blendv_pd(y.v, x.v, _mm256_cmp_pd(a.v, b.v, _CMP_EQ_OQ))};
  }
};
constexpr int tile_rows = 6;
#else
// Four lanes as an array: the compiler maps them onto whatever the baseline has (SSE2, NEON).
template <class T>
struct Vec {
  static constexpr int width = 4;
  T v[4];
  static Vec zero() { return {{0, 0, 0, 0}}; }
  static Vec set(T x) { return {{x, x, x, x}}; }
  static Vec fours(const T* p) { return load(p); }
  Vec of_four(int i) const { return set(v[i]); }
  static Vec load(const T* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Vec load(const T* p, int n) {
    Vec r = zero();
    for (int i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  void store(T* p) const {
    for (int i = 0; i < 4; ++i) p[i] = v[i];
  }
  void store(T* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  // Two roundings: the C library's fma would be slow without the instruction.
  friend Vec fma(Vec a, Vec b, Vec c) {
    for (int i = 0; i < 4; ++i) c.v[i] = a.v[i] * b.v[i] + c.v[i];
    return c;
  }
  friend Vec operator+(Vec a, Vec b) {
    for (int i = 0; i < 4; ++i) a.v[i] += b.v[i];
    return a;
  }
  friend Vec operator-(Vec a, Vec b) {
    for (int i = 0; i < 4; ++i) a.v[i] -= b.v[i];
    return a;
  }
  friend Vec max0(Vec a) {
    for (int i = 0; i < 4; ++i) a.v[i] = a.v[i] < 0 ? 0 : a.v[i];
    return a;
  }
  friend Vec evens(Vec a, Vec b) { return {{a.v[0], a.v[2], b.v[0], b.v[2]}}; }
  friend Vec max(Vec a, Vec b) {
    // Two selections in a row: one with || is a branch a lane.
    for (int i = 0; i < 4; ++i) b.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    for (int i = 0; i < 4; ++i) b.v[i] = a.v[i] != a.v[i] ? a.v[i] : b.v[i];
    return b;
  }
  friend Vec if_equal(Vec a, Vec b, Vec x, Vec y) {
    for (int i = 0; i < 4; ++i) x.v[i] = a.v[i] == b.v[i] ? x.v[i] : y.v[i];
    return x;
  }
};
constexpr int tile_rows = 4;
#endif

}  // namespace
}  // namespace pare::cpu
