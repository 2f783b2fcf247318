// Dot products of bytes, exact in int32 and so equal on every instruction set.
#pragma once

#include <cstdint>

namespace pare::cpu {

// acc[r] = sum over i < k of x[i] w[r][i] for one row of activations and four rows of weights.
using Int8Dot4 = void (*)(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc);
void int8_dot4_avx2_vnni(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc);
void int8_dot4_avx512_vnni(const uint8_t* x, const int8_t* const* w, int64_t k, int32_t* acc);

}  // namespace pare::cpu
