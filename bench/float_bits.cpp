// Writes what must not change when kernels move: for each network of the zoo the weights after
// twenty training steps and the outputs of its plans (dense, Winograd, sparse, integers) on each
// instruction set with floats of its own, the integers on all. scripts/float-bits records and
// compares them.
//
// Example: build/bench/float_bits /tmp/bits
#include <cstdio>
#include <filesystem>
#include <string>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/plan/plan.h"
#include "compress/plan/timing.h"
#include "compress/prune/prune.h"
#include "compress/quantize/calibrate.h"
#include "compress/quantize/quantize.h"
#include "core/container.h"
#include "core/cpu/isa.h"
#include "core/random.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"

using namespace pare;

namespace {

constexpr int steps = 20;

Tensor normals(const Shape& shape, uint64_t seed, DType dtype = DType::f32) {
  const Tensor x = Tensor::empty(shape, DType::f32);
  Rng rng(seed);
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(rng.normal());
  return x.to(dtype);
}

ImageShape images_of(const std::string& name) {
  const bool colour = name == "cifar-cnn" || name.starts_with("resnet");
  return colour ? ImageShape{3, 32, 32} : ImageShape{};
}

void train(Module& net, const ImageShape& s, bool adam, DType dtype) {
  const Tensor x = normals({4, s.channels, s.height, s.width}, 1, dtype);
  const Tensor labels = Tensor::from(std::vector<int32_t>{1, 7, 3, 0}, {4});
  Sgd sgd(named_parameters(net), {.rate = 0.01, .momentum = 0.9, .weight_decay = 1e-4});
  Adam by_moments(named_parameters(net), {.rate = 0.001});
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    tape.backward(softmax_cross_entropy(net(x, Mode::train), labels));
    adam ? by_moments.step() : sgd.step();
  }
}

void keep(ContainerWriter& out, const std::string& prefix, Module& net) {
  for (const auto& [key, param] : named_parameters(net)) out.add(prefix + key, param.value());
  for (const auto& [key, buffer] : named_buffers(net)) out.add(prefix + key, buffer.value());
}

// Sparse forms win and conversions are free, so that no clock chooses.
plan::Timing sparse_wins() {
  return {.step =
              [](const plan::Step& step, const plan::Frame&, int64_t) {
                for (const char* words : {"single weights", "rows of 8", "blocks"})
                  if (step.kernel.find(words) != std::string::npos) return 10.0;
                return step.kernel.find("nhwc") != std::string::npos ? 0.0 : 100.0;
              },
          .plan = [](Plan::State&, const Tensor&, Tensor&) { return 1.0; }};
}

void keep_plans(ContainerWriter& out, const std::string& name, const Graph& graph) {
  const Tensor x = normals(graph.input_shape(5), 2), one = x.rows(0, 1);
  const plan::Timing timing = sparse_wins();
  const auto keep_outputs = [&](const std::string& key, const Graph& of, PlanOptions options) {
    options.timing = &timing;
    const Plan plan = compile(of, options);
    out.add("plan." + key + ".five", plan(x));
    out.add("plan." + key + ".one", plan(one));
  };
  keep_outputs("whole", graph, {});
  keep_outputs("direct", graph, {.winograd = false});
  for (const char* structure : {"unstructured", "4x1", "8x1", "1x4"}) {
    if (name.starts_with("resnet") && name != "resnet20") break;
    Graph pruned = graph.clone();
    prune(pruned, *make_criterion("magnitude"),
          {.sparsity = 0.9, .structure = parse_structure(structure)});
    keep_outputs(structure, pruned, {});
  }
}

// On floats that depend on the float kernels alone, so that rows which share those may differ here.
void keep_integers(const std::string& path) {
  ContainerWriter out;
  for (const char* name : {"mlp", "lenet5"}) {
    const Tensor x = normals({5, 1, 28, 28}, 2);
    Graph integers = capture(*make_model(name, {}, 10, 3), x).clone();
    quantize(integers, calibrate(integers, {x}));
    out.add(name, lower(integers)(x, Mode::eval));
  }
  out.write(path);
}

void keep_all(const std::string& name, const std::string& path) {
  ContainerWriter out;
  const ImageShape shape = images_of(name);
  const auto net = make_model(name, shape, 10, 3);
  train(*net, shape, false, DType::f32);
  keep(out, "sgd.", *net);
  const Tensor x = normals({8, shape.channels, shape.height, shape.width}, 5);
  keep_plans(out, name, capture(*net, x));
  if (!name.starts_with("resnet")) {
    Graph masked = capture(*make_model(name, shape, 10, 3), x).clone();
    prune(masked, *make_criterion("magnitude"), {.sparsity = 0.9});
    train(masked, shape, true, DType::f32);
    keep(out, "masked adam.", masked);
    const auto wide = make_model(name, shape, 10, 3);
    to_dtype(*wide, DType::f64);
    train(*wide, shape, false, DType::f64);
    keep(out, "f64.", *wide);
  }
  out.write(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: float_bits FOLDER\n");
    return 2;
  }
  try {
    for (const IsaState& s : isa_states()) {
      if (!s.runs) {
        std::printf("%s: not run, %s\n", to_string(s.isa).c_str(), s.why_not.c_str());
        continue;
      }
      set_isa(s.isa);
      const std::string folder = argv[1] + ("/" + to_string(s.isa));
      std::filesystem::create_directories(folder);
      keep_integers(folder + "/integers.safetensors");
      if (float_isa(s.isa) != s.isa) continue;
      for (const std::string_view name : model_names())
        keep_all(std::string(name), folder + "/" + std::string(name) + ".safetensors");
    }
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
