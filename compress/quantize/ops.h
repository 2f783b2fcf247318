// The ops of quantized networks. Their arithmetic is integers.h; ranges are Buffers of two floats
// {low, high} that neighbouring layers share, {0, 0} before anything was observed.
#pragma once

#include "autograd/op.h"
#include "autograd/param.h"

namespace pare {

// s (q(x) - z) with the quantizer of `range`. In training, `observe` moves the range towards that
// of x by `momentum` first (all the way when the range is new); the gradient passes where x lies in
// the range and is zero elsewhere (straight-through estimator, Bengio et al. 2013). f32.
Tensor fake_quant(const Tensor& x, Buffer& range, bool observe, Mode mode, double momentum = 0.01);

// Weights [out, ...] rounded to 255 symmetric levels per output; the gradient passes unchanged.
// f32.
Tensor fake_quant_weight(const Tensor& w);

struct FakeQuantDense {
  bool relu = false;
  bool observe_input = false;   // the first layer of a chain learns its input's range
  bool observe_output = false;  // in training; off when ranges are frozen
};
// A dense layer whose input, weight and output are quantized. Training runs floats through
// fake_quant and differentiates; evaluation computes on the integers themselves: its output is what
// the lowered layer gives, bit for bit. x f32 [n,in], weight [out,in], bias [out].
Tensor fake_quant_dense(const Tensor& x, const Tensor& weight, const Tensor& bias, Buffer& x_range,
                        Buffer& y_range, Mode mode, const FakeQuantDense& options = {});

}  // namespace pare
