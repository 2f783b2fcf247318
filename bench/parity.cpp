// Trains a network of the zoo for some steps and writes what parity.py repeats with PyTorch: the
// initial weights ("initial.NAME", in the metadata's "order"), one batch ("images", "labels"), the
// gradients of the first step
// ("gradient.NAME") and every loss ("losses"). SGD with momentum, all batches alike.
//
// Example: build/bench/parity mlp f64 100 /tmp/mlp.safetensors
#include <cstdio>
#include <cstdlib>
#include <string>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/container.h"
#include "core/random.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"

using namespace pare;

namespace {

constexpr int64_t batch = 16;

void write_run(const std::string& name, DType dtype, int steps, const std::string& path,
               uint64_t seed, double rate) {
  const bool colour = name == "cifar-cnn" || name.starts_with("resnet");
  const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
  const auto net = make_model(name, shape, 10, seed);
  to_dtype(*net, dtype);
  Rng rng(seed);
  std::vector<float> pixels(size_t(batch * shape.channels * shape.height * shape.width));
  for (float& p : pixels) p = float(rng.normal());
  std::vector<int32_t> classes(batch);
  for (int32_t& c : classes) c = int32_t(rng.below(10));
  const Tensor images =
      Tensor::from(pixels, {batch, shape.channels, shape.height, shape.width}).to(dtype);
  const Tensor labels = Tensor::from(classes, {batch});

  ContainerWriter out;
  out.add("images", images);
  out.add("labels", labels);
  std::string order;
  for (const auto& [key, param] : named_parameters(*net)) {
    out.add("initial." + key, param.value().clone());
    order += (order.empty() ? "" : " ") + key;
  }
  out.set_metadata("order", order);
  Sgd sgd(named_parameters(*net), {.rate = rate, .momentum = 0.9});
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    const Tensor loss = softmax_cross_entropy((*net)(images, Mode::train), labels);
    tape.backward(loss);
    losses.push_back(loss.item());
    if (step == 0)
      for (const auto& [key, param] : named_parameters(*net))
        out.add("gradient." + key, param.grad().clone());
    sgd.step();
  }
  out.add("losses", Tensor::from(losses, {steps}));
  out.write(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5 || argc > 7) {
    std::fprintf(stderr, "usage: parity NET f32|f64 STEPS FILE [SEED [RATE]]\n");
    return 2;
  }
  try {
    const bool wide = std::string(argv[2]) == "f64";
    write_run(argv[1], wide ? DType::f64 : DType::f32, std::atoi(argv[3]), argv[4],
              argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 1,
              argc > 6 ? std::strtod(argv[6], nullptr) : 0.01);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
