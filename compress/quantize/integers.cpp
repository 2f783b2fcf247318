#include "compress/quantize/integers.h"

#include <algorithm>
#include <cmath>

namespace pare {
namespace {

constexpr float largest_bias = 536870912.0f;  // 2^29

}  // namespace

Quantizer quantizer_of(float low, float high) {
  check(std::isfinite(low) && std::isfinite(high) && low <= high, ErrorCode::bad_input,
        "a quantized value has the range [{}, {}]; it must be finite, and low at most high", low,
        high);
  return quantizer_of_finite(low, high);
}

float weight_scale(std::span<const float> channel) {
  float largest = 0;
  for (const float w : channel) largest = std::max(largest, std::fabs(w));
  return scale_of_largest(largest);
}

IntegerLayer integer_layer(const Tensor& weight, const Tensor& bias, Quantizer x, Quantizer y) {
  const int64_t out = weight.size(0), in = weight.elements() / std::max<int64_t>(out, 1);
  check(in <= max_integer_inputs, ErrorCode::bad_input,
        "an int8 layer sums at most {} inputs in 32 bits, this one has {}", max_integer_inputs, in);
  IntegerLayer layer{Tensor::empty({out, in}, DType::i8), Tensor::empty({out}, DType::i32),
                     Tensor::empty({out})};
  for (int64_t c = 0; c < out; ++c) {
    const std::span<const float> w(weight.data<float>() + c * in, size_t(in));
    const float b = bias.data<float>()[c];
    check(std::isfinite(b) &&
              std::all_of(w.begin(), w.end(), [](float v) { return std::isfinite(v); }),
          ErrorCode::bad_input,
          "output {} of a layer to be quantized has weights that are not finite", c);
    float scale = weight_scale(w);
    if (std::fabs(b) / x.scale / scale > largest_bias)
      scale = std::fabs(b) / x.scale / largest_bias;
    const float product = x.scale * scale;
    int32_t sum = 0;
    int8_t* q = layer.weight.data<int8_t>() + c * in;
    for (int64_t i = 0; i < in; ++i) {
      q[i] = int8_t(round_clamped(w[size_t(i)] / scale, -127.0f, 127.0f));
      sum += q[i];
    }
    layer.bias.data<int32_t>()[c] =
        int32_t(std::nearbyint(std::clamp(b / product, -largest_bias, largest_bias))) -
        x.zero * sum;
    layer.multiplier.data<float>()[c] = product / y.scale;
  }
  return layer;
}

}  // namespace pare
