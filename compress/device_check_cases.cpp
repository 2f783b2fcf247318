// The cases of check_device. Values are quarters of small integers, so that sums of products are
// exact in every precision and order, and a product that is wrong is so by a quarter at least.
#include "autograd/ops.h"
#include "autograd/run.h"
#include "autograd/tape.h"
#include "compress/device_check.h"
#include "compress/distill/soft_target_loss.h"
#include "compress/ops.h"
#include "compress/quantize/ops.h"
#include "core/fetch.h"
#include "core/random.h"
#include "datasets/loader.h"
#include "optim/evaluate.h"
#include "optim/optimizer.h"

namespace pare {
namespace {

using Tensors = std::vector<Tensor>;
using Function = std::function<Tensor(const Tensors&)>;

// Multiples of a quarter in [low, high].
Tensor quarters(const Shape& shape, uint64_t key, double low = -2, double high = 2) {
  Rng rng(key);
  std::vector<float> v(size_t(shape.elements()));
  for (float& x : v) x = float(low + 0.25 * double(rng.below(uint64_t(4 * (high - low)) + 1)));
  return Tensor::from(v, shape);
}
Tensor integers(const Shape& shape, DType dtype, int modulus, int low = 0) {
  Tensor t = Tensor::empty(shape, DType::i32);
  for (int64_t i = 0; i < t.elements(); ++i) t.data<int32_t>()[i] = int32_t(i * 7 % modulus) + low;
  return t.to(dtype);
}

class Cases {
 public:
  std::vector<CheckCase> all;

  void add(const std::string& kernel, std::function<Tensors(Device)> run) {
    all.push_back({kernel, std::move(run)});
  }
  // f and its gradients, for inputs in both formats. f is called twice, so that the second
  // gradients are added to the first.
  void gradients(const std::string& op, const Tensors& inputs, const Function& f) {
    add(op + ".forward", [=](Device device) {
      Tensors results;
      for (const Format format : {Format::plain, Format::nhwc}) {
        if (format == Format::nhwc && inputs[0].rank() != 4) break;
        restart_node_names();
        Tape tape;
        Tensors in;
        for (const Tensor& x : inputs) {
          const Tensor there = (x.rank() == 4 ? x.in_format(format) : x).to(device);
          in.push_back(is_float(x.dtype()) ? tape.watch(there) : there);
        }
        const Tensor y = f(in) + f(in);
        tape.backward(y, quarters(y.shape(), 99).in_format(y.format()).to(device));
        results.push_back(y);
        for (const Tensor& x : in)
          if (is_float(x.dtype())) results.push_back(tape.grad(x));
      }
      return results;
    });
  }
};

void add_pointwise(Cases& cases) {
  const Tensor x = quarters({3, 37}, 1), positive = quarters({3, 37}, 2, 0.25, 4);
  const std::pair<const char*, Tensor (*)(const Tensor&)> functions[] = {
      {"neg", neg},
      {"exp", exp},
      {"square", square},
      {"abs", abs},
      {"relu", relu},
      {"sigmoid", sigmoid},
      {"tanh", tanh},
      {"gelu", gelu},
      {"silu", silu},
      {"leaky_relu", [](const Tensor& t) { return leaky_relu(t, 0.125); }},
      {"clamp", [](const Tensor& t) { return clamp(t, -0.75, 0.5); }},
      {"add_scalar", [](const Tensor& t) { return add_scalar(t, 1.75); }},
      {"mul_scalar", [](const Tensor& t) { return mul_scalar(t, 1.75); }},
      {"softmax", softmax},
      {"log_softmax", log_softmax}};
  for (const auto& [name, f] : functions)
    cases.gradients(name, {x}, [run = f](const Tensors& in) { return run(in[0]); });
  cases.gradients("log", {positive}, [](const Tensors& in) { return log(in[0]); });
  cases.gradients("sqrt", {positive}, [](const Tensors& in) { return sqrt(in[0]); });
  const std::pair<const char*, Tensor (*)(const Tensor&, const Tensor&)> binaries[] = {
      {"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}};
  for (const auto& [name, f] : binaries)
    for (const Shape& other : {Shape{3, 37}, Shape{37}, Shape{3, 1}})
      cases.gradients(name, {x, quarters(other, 3, 0.25, 2)},
                      [run = f](const Tensors& in) { return run(in[0], in[1]); });
  const std::pair<const char*, Tensor (*)(const Tensor&, const Ints&, bool)> reductions[] = {
      {"sum", sum}, {"mean", mean}, {"max", max}};
  for (const auto& [name, f] : reductions)
    for (const int64_t axis : {0, 1})
      cases.gradients(name, {x},
                      [run = f, axis](const Tensors& in) { return run(in[0], {axis}, false); });
  cases.gradients("dropout", {x}, [](const Tensors& in) {
    const RunKeyScope key({.seed = 3, .step = 5});
    return dropout(in[0], 0.25, Mode::train);
  });
  const Tensor mask = integers({3, 37}, DType::u8, 2);
  cases.gradients("masked", {x},
                  [mask](const Tensors& in) { return masked(in[0], mask.to(in[0].device())); });
}

void add_moves(Cases& cases) {
  const Tensor x = quarters({2, 3, 5, 7}, 4);
  cases.gradients("transpose", {quarters({3, 5, 7}, 5)},
                  [](const Tensors& in) { return transpose(in[0], {2, 0, 1}); });
  cases.gradients("slice", {x}, [](const Tensors& in) {
    return slice(in[0], {0, 1, 0, 1}, {slice_to_end, 3, slice_to_end, 6}, {1, 1, 2, 3});
  });
  cases.gradients("pad", {x},
                  [](const Tensors& in) { return pad(in[0], {0, 2, 1, 0}, {1, 0, 0, 3}, 0.5); });
  cases.gradients("concat", {x, x}, [](const Tensors& in) { return concat({in[0], in[1]}, 1); });
  cases.gradients("split", {quarters({2, 6, 3, 5}, 6)}, [](const Tensors& in) {
    const std::vector<Tensor> parts = split(in[0], 1, {3, 3});
    return parts[0] - parts[1];
  });
}

void add_layers(Cases& cases) {
  struct Sizes {
    int64_t n, in, out;
  };
  for (const Sizes& s : {Sizes{5, 7, 3}, Sizes{17, 36, 20}})
    cases.gradients("dense",
                    {quarters({s.n, s.in}, 7), quarters({s.out, s.in}, 8), quarters({s.out}, 9)},
                    [](const Tensors& in) { return dense(in[0], in[1], in[2], true); });
  struct Conv {
    Shape x, w;
    Conv2dOptions options;
  };
  for (const Conv& c : {Conv{{2, 3, 6, 5}, {5, 3, 3, 3}, {.stride = 2, .padding = 1, .relu = true}},
                        Conv{{2, 4, 5, 6}, {20, 4, 3, 3}, {.padding = 1}},
                        Conv{{1, 8, 4, 4}, {6, 4, 3, 3}, {.dilation = 1, .groups = 2}},
                        Conv{{2, 6, 5, 5}, {6, 1, 3, 3}, {.padding = 1, .groups = 6}}})
    cases.gradients("conv2d",
                    {quarters(c.x, 10, -1, 1), quarters(c.w, 11, -1, 1), quarters({c.w[0]}, 12)},
                    [o = c.options](const Tensors& in) { return conv2d(in[0], in[1], in[2], o); });
  const Tensor image = quarters({2, 5, 6, 7}, 13);
  cases.gradients("max_pool2d", {image}, [](const Tensors& in) { return max_pool2d(in[0], 3, 2); });
  cases.gradients("avg_pool2d", {image}, [](const Tensors& in) { return avg_pool2d(in[0], 2, 2); });
  cases.gradients("global_avg_pool", {image},
                  [](const Tensors& in) { return global_avg_pool(in[0]); });
  for (const Mode mode : {Mode::train, Mode::eval})
    cases.gradients("batch_norm", {image, quarters({5}, 14, 0.5, 1.5), quarters({5}, 15), image},
                    [mode](const Tensors& in) {
                      const Device device = in[0].device();
                      Buffer mean(Tensor::zeros({5}, DType::f32, device)),
                          variance(Tensor::full({5}, 1, DType::f32, device));
                      return batch_norm(in[0], in[1], in[2], mean, variance, mode, {.relu = true},
                                        &in[3]);
                    });
  const Tensor logits = quarters({9, 11}, 16), labels = integers({9}, DType::i32, 11);
  cases.gradients("softmax_cross_entropy", {logits, labels},
                  [](const Tensors& in) { return softmax_cross_entropy(in[0], in[1]); });
  cases.gradients("soft_target_loss", {logits},
                  [teacher = quarters({9, 11}, 17)](const Tensors& in) {
                    return soft_target_loss(in[0], teacher.to(in[0].device()), 4);
                  });
  cases.add("count_correct",
            [=](Device device) { return Tensors{count_correct(logits.to(device), labels)}; });
}

void add_integers(Cases& cases) {
  const Attrs quantizer = Attrs().set("scale", 0.0625).set("zero", 100);
  cases.add("quantize.forward", [=](Device device) {
    const Tensor x = quarters({5, 19}, 18).to(device);
    const Tensor q = apply(quantize_op(), {&x}, quantizer);
    return Tensors{q, apply(dequantize_op(), {&q}, quantizer)};
  });
  cases.add("int8_dense.forward", [](Device device) {
    const Tensor x = integers({5, 70}, DType::u8, 256).to(device),
                 w = integers({9, 70}, DType::i8, 255, -127).to(device),
                 bias = integers({9}, DType::i32, 1000, -500).to(device),
                 scale = Tensor::full({9}, 1.0 / 512, DType::f32, device);
    return Tensors{apply(int8_dense_op(), {&x, &w, &bias, &scale},
                         Attrs().set("y_zero", 37).set("relu", true))};
  });
  cases.gradients("fake_quant", {quarters({5, 19}, 19)}, [](const Tensors& in) {
    Buffer range(Tensor::zeros({2}, DType::f32, in[0].device()));
    return fake_quant(in[0], range, true, Mode::train);
  });
  cases.gradients("fake_quant_weight", {quarters({5, 19}, 20)},
                  [](const Tensors& in) { return fake_quant_weight(in[0]); });
}

// What a rule steps: gradients that are clipped; those of a parameter with a mask; of a matrix of
// which next to nothing is kept, so that the CPU leaves the rest out.
enum class Stepped { clipped, masked, sparse };

// Two steps of a rule.
Tensors steps(Device device, const char* rule, Stepped kind) {
  const Shape shape = kind == Stepped::sparse ? Shape{64, 64} : Shape{7, 9};
  Param first(quarters(shape, 21).to(device)), second(quarters({11}, 22).to(device));
  if (kind != Stepped::clipped) {
    const Tensor mask = integers(shape, DType::u8, 2);
    for (int64_t i = 0; kind == Stepped::sparse && i < mask.elements(); ++i)
      mask.data<uint8_t>()[i] = i % 97 == 0;
    first.set_mask(mask.to(device));
  }
  const NamedParams params{{"a", first}, {"b", second}};
  OptimizerOptions options{.rate = 0.125,
                           .momentum = kind == Stepped::masked ? 0 : 0.5,
                           .weight_decay = 0.0625,
                           .clip = kind == Stepped::clipped ? 1.0 : 0};
  options.name = rule;
  const auto optimizer = make_optimizer(params, options);
  const Tensor x = quarters({17, shape[1]}, 23).to(device),
               bias = Tensor::zeros({shape[0]}, DType::f32, device);
  for (int step = 0; step < 2; ++step) {
    Tape tape;
    tape.backward(mean(square(dense(x, first(), bias))) + mean(square(second())));
    optimizer->step();
  }
  return {first.value(), second.value()};
}

void add_training(Cases& cases) {
  for (const Stepped kind : {Stepped::clipped, Stepped::masked, Stepped::sparse})
    for (const char* rule : {"sgd", "adam"})
      cases.add(std::string(rule) + (kind == Stepped::sparse ? ".step_kept" : ".step"),
                [=](Device d) { return steps(d, rule, kind); });
  cases.add("convert_type", [](Device d) {
    const Tensor x = quarters({5, 7}, 24).to(d);
    return Tensors{x.to(DType::f64).to(DType::f32), x.to(DType::i32),
                   Tensor::full({9}, 3, DType::i8, d)};
  });
  cases.add("gather_values", [](Device d) {
    const Tensors from{quarters({3}, 25).to(d), integers({2}, DType::i32, 5).to(d)};
    std::vector<double> to(5);
    fetch(from, to);
    return Tensors{Tensor::from(to, {5})};
  });
  cases.add("make_batch", [](Device d) {
    const Examples e{integers({7, 3, 5, 6}, DType::u8, 251), integers({7}, DType::i32, 4)};
    Loader loader(e.to(d),
                  {.scale = 1.0 / 256, .mean = {0.25, 0.5, 0.5}, .deviation = {0.5, 0.25, 1}},
                  {.batch = 5, .augment = Augmentation::parse("crop,flip")});
    Batch batch;
    loader.start_epoch(1);
    loader.next(batch);
    return Tensors{batch.images.clone(), batch.labels.clone()};
  });
}

}  // namespace

const std::vector<CheckCase>& check_cases() {
  static const std::vector<CheckCase> cases = [] {
    Cases made;
    add_pointwise(made);
    add_moves(made);
    add_layers(made);
    add_integers(made);
    add_training(made);
    return std::move(made.all);
  }();
  return cases;
}

}  // namespace pare
