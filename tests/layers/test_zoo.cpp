#include <doctest/doctest.h>

#include "autograd/graph.h"
#include "autograd/graph_summary.h"
#include "autograd/tape.h"
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

TEST_CASE("every network of the zoo trains bit for bit as its captured graph") {
  for (const std::string_view name : model_names()) {
    if (name == "resnet44" || name == "resnet56" || name == "resnet110") continue;  // more of 32
    const ImageShape shape = name.starts_with("resnet") ? ImageShape{3, 16, 16}
                             : name == "cifar-cnn"      ? ImageShape{3, 32, 32}
                                                        : ImageShape{};
    const auto net = make_model(name, shape, 10, 3);
    const Tensor x = Tensor::full({4, shape.channels, shape.height, shape.width}, 0.3);
    for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(i % 17) / 17 - 0.4f;
    const Tensor y = Tensor::from(std::vector<int32_t>{1, 0, 9, 4}, {4});
    Graph graph = capture(*net, x).clone();
    const auto train = [&](Module& m) {
      Sgd sgd(named_parameters(m), {.rate = 0.01});
      double last = 0;
      for (int i = 0; i < 20; ++i) {
        Tape tape;
        const Tensor loss = softmax_cross_entropy(m(x, Mode::train), y);
        tape.backward(loss);
        sgd.step();
        last = loss.item();
      }
      return last;
    };
    const double eager = train(*net);
    const std::string which(name);
    CAPTURE(which);
    CHECK(train(graph) == eager);
  }
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
