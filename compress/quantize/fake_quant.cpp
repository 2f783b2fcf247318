// fake_quant and fake_quant_weight: values rounded to the grid an integer kernel uses, in floats,
// with straight-through gradients.
#include <algorithm>
#include <cmath>

#include "compress/ops.h"
#include "compress/quantize/integers.h"
#include "compress/quantize/ops.h"
#include "core/thread_pool.h"

namespace pare {
namespace {

constexpr int64_t stretch = 1 << 14;

Quantizer quantizer_in(const TensorArg& range) {
  return quantizer_of(range.as<float>()[0], range.as<float>()[1]);
}

void observe(const TensorArg& x, float momentum, float* range) {
  float low = 0, high = 0;
  for (int64_t i = 0; i < x.elements; ++i) {
    low = std::min(low, x.as<float>()[i]);
    high = std::max(high, x.as<float>()[i]);
  }
  const bool first = range[0] == 0 && range[1] == 0;
  range[0] = moved(range[0], low, momentum, first);
  range[1] = moved(range[1], high, momentum, first);
}

Status fake_quant_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0], &range = args.buffers[0];
  if (args.training && args.attrs->integer("observe"))
    observe(x, float(args.attrs->real("momentum")), range.as<float>());
  const Quantizer q = quantizer_in(range);
  parallel_stretches(x.elements, stretch, [&](int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i)
      y.as<float>()[i] = dequantize_value(quantize_value(x.as<float>()[i], q), q);
  });
  return Status::ok;
}

Status fake_quant_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  const Quantizer q = quantizer_in(args.buffers[0]);
  const float low = lowest_kept(q), high = highest_kept(q);
  const bool add = args.accumulate[0];
  parallel_stretches(x.elements, stretch, [&](int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) {
      const float v = x.as<float>()[i];
      const float g = v >= low && v <= high ? dy.as<float>()[i] : 0.0f;
      dx.as<float>()[i] = add ? dx.as<float>()[i] + g : g;
    }
  });
  return Status::ok;
}

Status fake_quant_weight_forward(const KernelArgs& args) {
  const TensorArg &w = args.inputs[0], &y = args.outputs[0];
  const int64_t out = w.dims[0], in = w.elements / std::max<int64_t>(out, 1);
  parallel_for(out, [&](int64_t c) {
    const float* from = w.as<float>() + c * in;
    float* to = y.as<float>() + c * in;
    const float scale = weight_scale({from, size_t(in)});
    for (int64_t i = 0; i < in; ++i) to[i] = round_weight(from[i], scale);
  });
  return Status::ok;
}

void need_f32(const Call& c) {
  check(c.x().dtype() == DType::f32, "{}: the input is {}, expected f32", c.op->name,
        c.x().dtype());
}

const Op fake_quant_definition{
    .name = "fake_quant",
    .inputs = {1, 1},
    .buffers = {1, 1},
    .attributes = {{{"observe"}, {"momentum", Attrs::Kind::real}}},
    .saves_inputs = 1,
    .infer =
        [](Call& c) {
          need_f32(c);
          check(c.buffers[0]->value().shape() == Shape{2} &&
                    c.buffers[0]->value().dtype() == DType::f32,
                "fake_quant: needs one range buffer of two floats");
          c.output(c.x().shape(), DType::f32, c.x().format());
        },
    .coupling = Coupling::elementwise,
};

const Op fake_quant_weight_definition{
    .name = "fake_quant_weight",
    .inputs = {1, 1},
    .buffers = {0, 0},
    .infer =
        [](Call& c) {
          need_f32(c);
          check(c.x().rank() >= 1, "fake_quant_weight: the weight has no axes");
          c.require(0, Format::plain);
          c.output(c.x().shape());
        },
    .backward = [](BackwardCall& c) { c.passed[0] = c.grad_outputs[0]; },
    .any_device = true,
    .passes_gradients = true,
    .coupling = Coupling::elementwise,
};

}  // namespace

const Op& fake_quant_op() {
  static const Op& op = [&]() -> const Op& {
    register_kernel("fake_quant.forward", DeviceType::cpu, fake_quant_forward);
    register_kernel("fake_quant.backward", DeviceType::cpu, fake_quant_backward);
    return register_op(fake_quant_definition);
  }();
  return op;
}

const Op& fake_quant_weight_op() {
  static const Op& op = [&]() -> const Op& {
    register_kernel("fake_quant_weight.forward", DeviceType::cpu, fake_quant_weight_forward);
    return register_op(fake_quant_weight_definition);
  }();
  return op;
}

Tensor fake_quant(const Tensor& x, Buffer& range, bool observe, Mode mode, double momentum) {
  Buffer* const buffers[] = {&range};
  return apply(fake_quant_op(), {&x}, Attrs().set("observe", observe).set("momentum", momentum),
               {.buffers = buffers, .mode = mode});
}

Tensor fake_quant_weight(const Tensor& w) { return apply(fake_quant_weight_op(), {&w}); }

}  // namespace pare
