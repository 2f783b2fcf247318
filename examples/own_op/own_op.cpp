// An op of one's own (softsign, y = x / (1 + |x|)), a layer that uses it, its gradient checked, a
// network with it trained, saved, loaded and pruned. Nothing of this is known to the library.
#include <cmath>
#include <cstdio>

#include "autograd/gradcheck.h"
#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "compress/prune/prune.h"
#include "datasets/digits.h"
#include "layers/layers.h"
#include "optim/recipe.h"

using namespace pare;

namespace {

// Kernels get plain data: float in training, double in gradient checks.
template <class T>
void softsign(const KernelArgs& a) {
  for (int64_t i = 0; i < a.inputs[0].elements; ++i) {
    const T x = a.inputs[0].as<T>()[i];
    a.outputs[0].as<T>()[i] = x / (T(1) + std::abs(x));
  }
}
template <class T>
void softsign_gradient(const KernelArgs& a) {  // dx = dy (1 - |y|)^2
  for (int64_t i = 0; i < a.grad_inputs[0].elements; ++i) {
    const T slope = T(1) - std::abs(a.outputs[0].as<T>()[i]);
    const T g = a.grad_outputs[0].as<T>()[i] * slope * slope;
    T& to = a.grad_inputs[0].as<T>()[i];
    to = a.accumulate[0] ? to + g : g;
  }
}
Status forward(const KernelArgs& a) {
  a.inputs[0].dtype == DType::f64 ? softsign<double>(a) : softsign<float>(a);
  return Status::ok;
}
Status backward(const KernelArgs& a) {
  a.outputs[0].dtype == DType::f64 ? softsign_gradient<double>(a) : softsign_gradient<float>(a);
  return Status::ok;
}

const Op& softsign_op() {
  static const Op& op = []() -> const Op& {
    register_kernel("softsign.forward", DeviceType::cpu, forward);
    register_kernel("softsign.backward", DeviceType::cpu, backward);
    return register_op({.name = "softsign",
                        .saves_outputs = 1,
                        .infer = [](Call& c) { c.output(c.x().shape()); },
                        .coupling = Coupling::elementwise});
  }();
  return op;
}

// A dense layer with softsign behind it.
struct SoftDense : Module {
  Dense dense;
  SoftDense(int64_t in, int64_t out) : dense(in, out) {}
  Tensor forward(const Tensor& x, Mode mode) override {
    const Tensor y = dense(x, mode);
    return apply(softsign_op(), {&y});
  }
  void visit(Visitor& v) override { v("dense", dense); }
};

}  // namespace

int main() {
  try {
    gradcheck([](const std::vector<Tensor>& v) { return apply(softsign_op(), {&v[0]}); },
              {Tensor::from<double>({-2, -0.5, 0.25, 3}, {4})});

    Sequential net;
    net.add<Flatten>("flatten").add<SoftDense>("hidden", 784, 64).add<Dense>("out", 64, 10);
    initialize(net, 1);
    const Dataset data = make_digits({.train = 6000, .test = 1000});
    Graph graph = capture(net, Tensor::zeros({1, 1, 28, 28}));
    TrainOptions options = default_recipe("mlp", data);
    options.epochs = 3;
    Trainer(graph, data, options).run();
    prune(graph, Magnitude(), {.sparsity = 0.5});
    save_graph(graph, "own_op.pare");
    Graph loaded = load_graph("own_op.pare");
    std::printf("pruned by half, from its file: %.1f %% of the test digits\n",
                100 * evaluate(loaded, data.test, data.preprocessing).accuracy);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
