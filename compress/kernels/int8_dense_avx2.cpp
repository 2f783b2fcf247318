// AVX2: bytes widened to 16 bits, then vpmaddwd, whose pairs of products fit 32 bits exactly
// (vpmaddubsw would saturate).
#include <immintrin.h>

#include "compress/kernels/int8_dense.h"

namespace pare::detail {

void int8_dot4_avx2(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc) {
  __m256i sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                    _mm256_setzero_si256()};
  int64_t i = 0;
  for (; i + 16 <= k; i += 16) {
    const __m256i a =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i)));
    for (int r = 0; r < 4; ++r) {
      const __m256i b =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w[r] + i)));
      sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(a, b));
    }
  }
  const __m256i pairs =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sum[0], sum[1]), _mm256_hadd_epi32(sum[2], sum[3]));
  const __m128i total =
      _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(acc), total);
  for (; i < k; ++i)
    for (int r = 0; r < 4; ++r) acc[r] += int32_t(x[i]) * int32_t(w[r][i]);
}

}  // namespace pare::detail
