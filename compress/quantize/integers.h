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

#include "core/tensor.h"

namespace pare {

// How a real value is written as u8: x ~ scale (q - zero).
struct Quantizer {
  float scale = 1;
  int32_t zero = 0;
  bool operator==(const Quantizer&) const = default;
};

// The quantizer of the range [low, high], widened to hold 0 so that zero is exact. An empty range
// gives scale 1. Throws Error{bad_input} where the range is not finite or low > high.
Quantizer quantizer_of(float low, float high);

// Rounds to nearest, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves no fraction bits.
inline float round_even(float v) {
  constexpr float shifter = 12582912.0f;
  return (v + shifter) - shifter;
}

// v rounded, limited to [low, high] (integers of at most 2^22); NaN gives 0.
inline int32_t round_clamped(float v, float low, float high) {
  v = v > low ? v : (v == v ? low : 0.0f);
  v = v < high ? v : high;
  return int32_t(round_even(v));
}

inline uint8_t quantize_value(float x, Quantizer q) {
  return uint8_t(round_clamped(x / q.scale, float(-q.zero), float(255 - q.zero)) + q.zero);
}
inline float dequantize_value(uint8_t v, Quantizer q) {
  return q.scale * float(int32_t(v) - q.zero);
}
// One accumulator to an output: `zero` is z_y, `multiplier` is M_c.
inline uint8_t requantize(int32_t acc, float multiplier, int32_t zero, bool relu) {
  const float v = float(acc) * multiplier;
  return uint8_t(round_clamped(v, relu ? 0.0f : float(-zero), float(255 - zero)) + zero);
}

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
