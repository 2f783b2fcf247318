#include <doctest/doctest.h>

#include <algorithm>

#include "autograd/gradcheck.h"
#include "autograd/graph.h"
#include "autograd/tape.h"
#include "core/thread_pool.h"
#include "layers/layers.h"
#include "optim/optimizer.h"

using namespace pare;

TEST_CASE("dropout keeps 1 - p, whatever the storage and the threads, and follows seed and step") {
  const Tensor x = Tensor::full({9, 7, 13, 11}, 1);
  const auto draw = [&](const Tensor& in, RunKey key) {
    restart_node_names();
    const RunKeyScope scope(key);
    return dropout(in, 0.3, Mode::train).to_vector<float>();
  };
  const auto y = draw(x, {1, 5});
  const double kept = double(std::count(y.begin(), y.end(), 1 / 0.7f)) / double(y.size());
  CHECK(kept == doctest::Approx(0.7).epsilon(0.03));
  CHECK(draw(x.in_format(Format::nhwc), {1, 5}) == y);
  CHECK(draw(x, {1, 6}) != y);
  CHECK(draw(x, {2, 5}) != y);
  for (const int n : {1, 3, 8}) {
    set_threads(n);
    CHECK(draw(x, {1, 5}) == y);
  }
  set_threads(0);
  CHECK(dropout(x, 0.3, Mode::eval).to_vector<float>() == x.to_vector<float>());
  CHECK_THROWS_AS(dropout(x, 1.0, Mode::train), Error);
}

TEST_CASE("the gradient of dropout is its mask") {
  const auto f = [](const std::vector<Tensor>& in) {
    restart_node_names();
    return dropout(in[0], 0.4, Mode::train);
  };
  CHECK_NOTHROW(gradcheck(f, {Tensor::full({5, 6}, 0.7, DType::f64)}));
}

TEST_CASE("a captured network with dropout and tied weights trains bit for bit like its module") {
  struct Tied : Module {
    Dense a{12, 12, true}, out{12, 5};
    Dropout first{0.2}, second{0.5};
    Tensor forward(const Tensor& x, Mode mode) override {
      return out(second(a(first(a(x, mode), mode), mode), mode), mode);
    }
    void visit(Visitor& v) override {
      v("a", a);
      v("first", first);
      v("second", second);
      v("out", out);
    }
  } net;
  initialize(net, 4);
  const Tensor x = Tensor::full({6, 12}, 0.25);
  for (int i = 0; i < 72; ++i) x.data<float>()[i] = float(i % 7) / 7;
  Graph graph = capture(net, x).clone();
  CHECK(named_parameters(graph).size() == 4);
  const auto train = [&](Module& m) {
    Sgd sgd(named_parameters(m), {.rate = 0.05});
    std::vector<double> losses;
    for (uint64_t step = 0; step < 20; ++step) {
      const RunKeyScope key({3, step});
      Tape tape;
      const Tensor loss = softmax_cross_entropy(
          m(x, Mode::train), Tensor::from(std::vector<int32_t>{0, 1, 2, 3, 4, 0}, {6}));
      tape.backward(loss);
      sgd.step();
      losses.push_back(loss.item());
    }
    return losses;
  };
  CHECK(train(net) == train(graph));
}
