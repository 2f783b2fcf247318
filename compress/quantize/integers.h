// The integer arithmetic of quantized layers: the one definition that fake-quantization, the scalar
// reference and every kernel follow bit for bit (docs/integer-arithmetic.md).
//
//   activation  q = clamp(rne(x / s) + z, 0, 255), u8;      x ~ s (q - z)
//   weight      q = clamp(rne(w / s_c), -127, 127), s8, one scale per output channel c
//   bias        q = rne(b / (s_x s_c)), int32
//   layer       acc = sum q_x q_w - z_x sum q_w + q_b, exact in int32
//               q_y = clamp(rne(float(acc) M_c) + z_y, relu ? z_y : 0, 255),  M_c = s_x s_c / s_y
//
// rne rounds to nearest, ties to even. Products, quotients and sums are single IEEE float
// operations; nothing is fused. NaN becomes the zero point.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compress/quantize/arithmetic.h"
#include "core/tensor.h"

namespace pare {

// The quantizer of the range [low, high], widened to hold 0 so that zero is exact. An empty range
// gives scale 1. Throws Error{bad_input} where the range is not finite or low > high.
Quantizer quantizer_of(float low, float high);

// A dense layer in integers.
struct IntegerLayer {
  Tensor weight;      // i8 [out,in]
  Tensor bias;        // i32 [out]: q_b - z_x sum q_w, so that kernels see no input zero point
  Tensor multiplier;  // f32 [out]: M_c
};
// Most inputs of one output for which acc cannot overflow: 255 * 127 K + 2^30 < 2^31.
constexpr int64_t max_integer_inputs = 33000;
// weight f32 [out,in], bias f32 [out], on the CPU. A channel whose weights are tiny beside its bias
// takes a coarser scale, so that q_b stays within 2^29. Throws Error{bad_input} where a value is
// not finite or a row is longer than max_integer_inputs.
IntegerLayer integer_layer(const Tensor& weight, const Tensor& bias, Quantizer x, Quantizer y);

// Scale of a channel of weights: max |w| / 127; 1 where all are zero.
float weight_scale(std::span<const float> channel);

}  // namespace pare
