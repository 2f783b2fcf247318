// quantize, dequantize and int8_dense: what a lowered network consists of; and fake_quant_dense,
// which evaluates as those three.
#include "autograd/ops.h"
#include "compress/ops.h"
#include "compress/quantize/int8_dense.h"
#include "compress/quantize/integers.h"
#include "compress/quantize/ops.h"
#include "core/thread_pool.h"

namespace pare {
namespace {

Quantizer quantizer_in(const Attrs& attrs) {
  return {float(attrs.real("scale")), int32_t(attrs.integer("zero"))};
}
Attrs quantizer_attrs(Quantizer q) {
  return Attrs().set("scale", double(q.scale)).set("zero", q.zero);
}
void check_quantizer(const Call& c) {
  const double scale = c.attrs->real("scale");
  const int64_t zero = c.attrs->integer("zero");
  check(float(scale) > 0 && scale < 1e38 && zero >= 0 && zero <= 255, ErrorCode::bad_input,
        "{}: scale {} and zero point {}; expected a positive scale and 0..255", c.op->name, scale,
        zero);
}

template <class F>
void over_elements(int64_t n, F&& f) {
  parallel_stretches(n, 1 << 14, [&](int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) f(i);
  });
}

Status quantize_forward(const KernelArgs& args) {
  const Quantizer q = quantizer_in(*args.attrs);
  const float* x = args.inputs[0].as<float>();
  uint8_t* y = args.outputs[0].as<uint8_t>();
  over_elements(args.inputs[0].elements, [&](int64_t i) { y[i] = quantize_value(x[i], q); });
  return Status::ok;
}

Status dequantize_forward(const KernelArgs& args) {
  const Quantizer q = quantizer_in(*args.attrs);
  const uint8_t* x = args.inputs[0].as<uint8_t>();
  float* y = args.outputs[0].as<float>();
  over_elements(args.inputs[0].elements, [&](int64_t i) { y[i] = dequantize_value(x[i], q); });
  return Status::ok;
}

Status int8_dense_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &w = args.inputs[1];
  int8_dense_kernel({.x = x.as<uint8_t>(),
                     .w = w.as<int8_t>(),
                     .bias = args.inputs[2].as<int32_t>(),
                     .multiplier = args.inputs[3].as<float>(),
                     .y = args.outputs[0].as<uint8_t>(),
                     .n = x.dims[0],
                     .in = w.dims[1],
                     .out = w.dims[0],
                     .y_zero = int32_t(args.attrs->integer("y_zero")),
                     .relu = bool(args.attrs->integer("relu"))});
  return Status::ok;
}

void infer_int8_dense(Call& c) {
  const Tensor &x = c.x(), &w = c.x(1), &bias = c.x(2), &multiplier = c.x(3);
  check(x.dtype() == DType::u8 && x.rank() == 2 && w.dtype() == DType::i8 && w.rank() == 2 &&
            x.size(1) == w.size(1) && w.size(1) <= max_integer_inputs,
        ErrorCode::bad_input,
        "int8_dense: input {} {} and weight {} {}; expected u8 and i8 matrices of one width, at "
        "most {}",
        x.dtype(), x.shape(), w.dtype(), w.shape(), max_integer_inputs);
  const Shape outputs{w.size(0)};
  check(bias.dtype() == DType::i32 && bias.shape() == outputs && multiplier.dtype() == DType::f32 &&
            multiplier.shape() == outputs,
        ErrorCode::bad_input,
        "int8_dense: bias {} {} and multiplier {} {}; the weight needs i32 {} and f32 {}",
        bias.dtype(), bias.shape(), multiplier.dtype(), multiplier.shape(), outputs, outputs);
  const int64_t zero = c.attrs->integer("y_zero");
  check(zero >= 0 && zero <= 255, ErrorCode::bad_input,
        "int8_dense: zero point {}, expected 0..255", zero);
  c.output({x.size(0), w.size(0)}, DType::u8, Format::plain);
}

template <DType from, DType to>
void infer_conversion(Call& c) {
  check(c.x().dtype() == from, "{}: the input is {}, expected {}", c.op->name, c.x().dtype(), from);
  check_quantizer(c);
  c.output(c.x().shape(), to, c.x().format());
}

Tensor on_cpu(const Tensor& t) { return t.to(Device{}).plain(); }

void check_fake_quant_dense(const Call& c) {
  const Tensor &x = c.x(), &w = c.x(1), &b = c.x(2);
  check(x.dtype() == DType::f32 && x.rank() == 2 && w.rank() == 2 && x.size(1) == w.size(1),
        "fake_quant_dense: input {} {} and weight {}; expected f32 matrices of one width",
        x.dtype(), x.shape(), w.shape());
  check(w.dtype() == DType::f32 && w.rank() == 2 && b.dtype() == DType::f32 &&
            b.shape() == Shape{w.size(0)},
        "fake_quant_dense: weight {} {} and bias {} {}; expected f32, outputs x inputs and outputs",
        w.dtype(), w.shape(), b.dtype(), b.shape());
  for (const Buffer* range : c.buffers)
    check(range->value().dtype() == DType::f32 && range->value().shape() == Shape{2},
          "fake_quant_dense: a range is {} {}, expected two floats", range->value().dtype(),
          range->value().shape());
}

void infer_fake_quant_dense(Call& c) {
  check_fake_quant_dense(c);
  c.output({c.x().size(0), c.x(1).size(0)}, DType::f32, Format::plain);
}

void fake_quant_dense_forward(Call& c) {
  check_fake_quant_dense(c);
  const Tensor &x = c.x(), &w = c.x(1), &b = c.x(2);
  Buffer &x_range = *c.buffers[0], &y_range = *c.buffers[1];
  const bool relu = c.attrs->integer("relu");
  if (c.mode == Mode::train) {
    const Tensor xq = fake_quant(x, x_range, c.attrs->integer("observe_input"), c.mode);
    const Tensor y = dense(xq, fake_quant_weight(w), b, relu);
    c.output(fake_quant(y, y_range, c.attrs->integer("observe_output"), c.mode));
    return;
  }
  const auto quantizer = [](const Buffer& range) {
    const Tensor r = on_cpu(range.value());
    return quantizer_of(r.data<float>()[0], r.data<float>()[1]);
  };
  const Quantizer xq = quantizer(x_range), yq = quantizer(y_range);
  const IntegerLayer layer = integer_layer(on_cpu(w), on_cpu(b), xq, yq);
  const Device device = x.device();
  const Tensor integers = apply(quantize_op(), {&x}, quantizer_attrs(xq));
  const Tensor weight = layer.weight.to(device), bias = layer.bias.to(device),
               multiplier = layer.multiplier.to(device);
  const Tensor y = apply(int8_dense_op(), {&integers, &weight, &bias, &multiplier},
                         Attrs().set("y_zero", yq.zero).set("relu", relu));
  c.output(apply(dequantize_op(), {&y}, quantizer_attrs(yq)));
}

const Op& with_kernel(const Op& definition, KernelFn fn) {
  register_kernel((std::string(definition.name) + ".forward").c_str(), DeviceType::cpu, fn);
  return register_op(definition);
}

}  // namespace

const Op& quantize_op() {
  static const Op& op = with_kernel({.name = "quantize",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = {{{"scale", Attrs::Kind::real}, {"zero"}}},
                                     .infer = infer_conversion<DType::f32, DType::u8>,
                                     .differentiable = false,
                                     .coupling = Coupling::elementwise},
                                    quantize_forward);
  return op;
}

const Op& dequantize_op() {
  static const Op& op = with_kernel({.name = "dequantize",
                                     .inputs = {1, 1},
                                     .buffers = {0, 0},
                                     .attributes = {{{"scale", Attrs::Kind::real}, {"zero"}}},
                                     .infer = infer_conversion<DType::u8, DType::f32>,
                                     .differentiable = false,
                                     .coupling = Coupling::elementwise},
                                    dequantize_forward);
  return op;
}

const Op& int8_dense_op() {
  static const Op& op =
      with_kernel({.name = "int8_dense",
                   .inputs = {4, 4},
                   .buffers = {0, 0},
                   .attributes = {{{"y_zero"}, {"relu"}}},
                   .infer = infer_int8_dense,
                   .differentiable = false,
                   .coupling = Coupling::producer,
                   .macs = [](const Call& c) { return c.x().size(0) * c.x(1).elements(); }},
                  int8_dense_forward);
  return op;
}

const Op& fake_quant_dense_op() {
  static const Op& op =
      register_op({.name = "fake_quant_dense",
                   .inputs = {3, 3},
                   .buffers = {2, 2},
                   .attributes = {{{"relu"}, {"observe_input"}, {"observe_output"}}},
                   .infer = infer_fake_quant_dense,
                   .forward = fake_quant_dense_forward,
                   .composite = true,
                   .coupling = Coupling::producer,
                   .macs = [](const Call& c) { return c.x().size(0) * c.x(1).elements(); }});
  return op;
}

Tensor fake_quant_dense(const Tensor& x, const Tensor& weight, const Tensor& bias, Buffer& x_range,
                        Buffer& y_range, Mode mode, const FakeQuantDense& o) {
  Buffer* const buffers[] = {&x_range, &y_range};
  const Attrs attrs = Attrs()
                          .set("relu", o.relu)
                          .set("observe_input", o.observe_input)
                          .set("observe_output", o.observe_output);
  return apply(fake_quant_dense_op(), {&x, &weight, &bias}, attrs,
               {.buffers = buffers, .mode = mode});
}

}  // namespace pare
