#include <doctest/doctest.h>

#include "autograd/graph.h"
#include "autograd/graph_dot.h"
#include "autograd/graph_summary.h"
#include "autograd/tape.h"
#include "core/thread_pool.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"

using namespace pare;

TEST_CASE("the zoo has the published sizes") {
  CHECK(parameter_count(*make_model("mlp", {}, 10, 1)) == 266610);
  CHECK(parameter_count(*make_model("lenet5", {}, 10, 1)) == 431080);
  CHECK(parameter_count(*make_model("lenet5-classic", {}, 10, 1)) == 61706);
  const auto resnet = make_model("resnet20", {3, 32, 32}, 10, 1);
  CHECK(parameter_count(*resnet) == 269722);
  Graph g = capture(*resnet, Tensor::zeros({1, 3, 32, 32}));
  const GraphSummary s = summarize(g);
  CHECK(s.params == 269722);
  CHECK(s.macs == 40551040);
  CHECK(parameter_count(*make_model("resnet110", {3, 32, 32}, 10, 1)) == 1727962);
  CHECK_THROWS_WITH_AS(make_model("lenet6", {}, 10, 1), doctest::Contains("'lenet5'"), Error);
}

namespace {

// A network of the zoo in a small size, with one batch of `n`.
struct Training {
  std::unique_ptr<Module> net;
  Tensor x, y;
  Training(const std::string& name, int64_t n) {
    const ImageShape shape = name.starts_with("resnet") ? ImageShape{3, 16, 16}
                             : name == "cifar-cnn"      ? ImageShape{3, 32, 32}
                                                        : ImageShape{};
    net = make_model(name, shape, 10, 3);
    x = Tensor::empty({n, shape.channels, shape.height, shape.width});
    for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(i % 17) / 17 - 0.4f;
    y = Tensor::empty({n}, DType::i32);
    for (int64_t i = 0; i < n; ++i) y.data<int32_t>()[i] = int32_t(i * 7 % 10);
  }
  double train(Module& module, int steps) const {
    Sgd sgd(named_parameters(module), {.rate = 0.01});
    double last = 0;
    for (int i = 0; i < steps; ++i) {
      Tape tape;
      const Tensor loss = softmax_cross_entropy(module(x, Mode::train), y);
      tape.backward(loss);
      sgd.step();
      last = loss.item();
    }
    return last;
  }
};

// resnet44, 56 and 110 are more of resnet32.
constexpr const char* distinct[] = {"mlp",       "lenet5",   "lenet5-classic",
                                    "cifar-cnn", "resnet20", "resnet32"};

}  // namespace

TEST_CASE("every network of the zoo trains bit for bit as its captured graph") {
  for (const std::string name : distinct) {
    const Training t(name, 4);
    Graph graph = capture(*t.net, t.x).clone();
    const double eager = t.train(*t.net, 20);
    CAPTURE(name);
    CHECK(t.train(graph, 20) == eager);
  }
}

TEST_CASE("training gives the same bits on 1, 2, 3 and 8 threads") {
  for (const std::string name : distinct) {
    CAPTURE(name);
    std::vector<std::vector<float>> first;
    for (const int n : {1, 2, 3, 8}) {
      set_threads(n);
      const Training t(name, 37);
      t.train(*t.net, 3);
      std::vector<std::vector<float>> weights;
      for (const Param& p : parameters(*t.net)) weights.push_back(p.value().to_vector<float>());
      if (first.empty()) first = weights;
      CHECK(weights == first);
    }
  }
  set_threads(0);
}

TEST_CASE("frozen masks stay zero through momentum and decay; bad gradients change nothing") {
  Dense layer(6, 4);
  initialize(layer, 1);
  const Tensor mask = Tensor::full({4, 6}, 1, DType::u8);
  for (int i = 0; i < 24; i += 2) mask.data<uint8_t>()[i] = 0;
  layer.weight.set_mask(mask);
  Sgd sgd(named_parameters(layer), {.rate = 0.1, .momentum = 0.9, .weight_decay = 0.01});
  const auto step = [&](float scale) {
    Tape tape;
    tape.backward(softmax_cross_entropy(layer(Tensor::full({2, 6}, double(scale)), Mode::train),
                                        Tensor::from(std::vector<int32_t>{1, 3}, {2})));
    sgd.step();
  };
  for (int i = 0; i < 10; ++i) step(0.5f);
  for (int i = 0; i < 24; ++i) CHECK((layer.weight.value().data<float>()[i] == 0) == (i % 2 == 0));
  const auto before = layer.weight.value().to_vector<float>();
  CHECK_THROWS_WITH_AS(step(__builtin_inff()), doctest::Contains("not finite"), Error);
  CHECK(layer.weight.value().to_vector<float>() == before);
}

TEST_CASE("a graph is drawn with its layers, shapes and zeros") {
  const auto net = make_model("mlp", {}, 10, 1);
  const std::string dot = to_dot(capture(*net, Tensor::zeros({1, 1, 28, 28})));
  CHECK(dot.starts_with("digraph pare {"));
  CHECK(dot.find("weight 300x784") != std::string::npos);
  CHECK(dot.find("n3 -> out [label=\"Nx10\"]") != std::string::npos);
}
