// Dot products of bytes, compiled once per instruction set (see int8_dot.h): vpdpbusd adds four
// exact products into each 32-bit lane without saturation; without it bytes are widened to 16 bits
// for vpmaddwd, whose pairs of products fit 32 bits exactly (vpmaddubsw would saturate).
#include "core/cpu/kernels/int8_dot.h"
#include "core/cpu/kernels/simd.h"

namespace pare::cpu {
namespace {

#if defined(__AVX512VNNI__)
void int8_dot4(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc) {
  __m512i sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                    _mm512_setzero_si512()};
  for (int64_t i = 0; i < k; i += 64) {
    const __mmask64 lanes = k - i >= 64 ? ~__mmask64(0) : (__mmask64(1) << (k - i)) - 1;
    const __m512i a = _mm512_maskz_loadu_epi8(lanes, x + i);
    for (int r = 0; r < 4; ++r)
      sum[r] = _mm512_dpbusd_epi32(sum[r], a, _mm512_maskz_loadu_epi8(lanes, w[r] + i));
  }
  for (int r = 0; r < 4; ++r) acc[r] = _mm512_reduce_add_epi32(sum[r]);
}
#else
#if defined(__AVXVNNI__)
constexpr int64_t int8_step = 32;
inline __m256i int8_step_sum(__m256i sum, const uint8_t* x, const int8_t* w) {
  return _mm256_dpbusd_avx_epi32(sum, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)),
                                 _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)));
}
#elif defined(__AVX512BW__)
constexpr int64_t int8_step = 32;
inline __m512i int8_step_sum(__m512i sum, const uint8_t* x, const int8_t* w) {
  const auto a = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
  const auto b = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)));
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}
#elif defined(__AVX2__)
constexpr int64_t int8_step = 16;
inline __m256i int8_step_sum(__m256i sum, const uint8_t* x, const int8_t* w) {
  const auto a = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
  const auto b = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
#endif

#if defined(__AVX512BW__)
using Int8Sum = __m512i;
inline void store_sums(const Int8Sum* sum, int32_t* acc) {
  for (int r = 0; r < 4; ++r) acc[r] = _mm512_reduce_add_epi32(sum[r]);
}
#elif defined(__AVX2__)
using Int8Sum = __m256i;
inline void store_sums(const Int8Sum* sum, int32_t* acc) {
  const __m256i pairs =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sum[0], sum[1]), _mm256_hadd_epi32(sum[2], sum[3]));
  const __m128i total =
      _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(acc), total);
}
#endif

void int8_dot4(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc) {
  int64_t i = 0;
#if defined(__AVX2__)
  Int8Sum sum[4] = {};
  for (; i + int8_step <= k; i += int8_step)
    for (int r = 0; r < 4; ++r) sum[r] = int8_step_sum(sum[r], x + i, w[r] + i);
  store_sums(sum, acc);
#else
  for (int r = 0; r < 4; ++r) acc[r] = 0;
#endif
  for (; i < k; ++i)
    for (int r = 0; r < 4; ++r) acc[r] += int32_t(x[i]) * int32_t(w[r][i]);
}
#endif

}  // namespace
}  // namespace pare::cpu
