// Matrix product of u8 activations and s8 weights, exact in int32, requantized to u8: the kernel of
// int8_dense. Equal bit for bit on every instruction set (compress/quantize/integers.h).
#pragma once

#include <cstdint>

namespace pare {

struct Int8DenseArgs {
  const uint8_t* x = nullptr;  // [n][in]
  const int8_t* w = nullptr;   // [out][in]
  const int32_t* bias = nullptr;
  const float* multiplier = nullptr;
  uint8_t* y = nullptr;  // [n][out]
  int64_t n = 0, in = 0, out = 0;
  int32_t y_zero = 0;
  bool relu = false;
};
void int8_dense_kernel(const Int8DenseArgs& args);

}  // namespace pare
