// AVX-512 VNNI: vpdpbusd adds four exact u8 x s8 products into each 32-bit lane, without
// saturation.
#include <immintrin.h>

#include "compress/kernels/int8_dense.h"

namespace pare::detail {

void int8_dot4_avx512(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc) {
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

}  // namespace pare::detail
