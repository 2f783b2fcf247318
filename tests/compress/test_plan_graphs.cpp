// Plans of graphs that no zoo has: every op, layout and number of outputs, against the graph
// itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "compress/plan/plan.h"
#include "compress/prune/prune.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/layers.h"
#include "tests/support/random_net.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

// A network that is a function of its input and of parameters made from their shapes.
struct Net : Module {
  using Forward = std::function<Tensor(const Tensor& x, std::vector<Param>& p)>;
  Net(std::vector<Shape> shapes, Forward f) : forward_(std::move(f)) {
    for (size_t i = 0; i < shapes.size(); ++i) params_.emplace_back(normals(shapes[i], 40 + i));
  }
  Tensor forward(const Tensor& x, Mode) override { return forward_(x, params_); }
  void visit(Visitor& v) override {
    for (size_t i = 0; i < params_.size(); ++i) v("p" + std::to_string(i), params_[i]);
  }

 private:
  std::vector<Param> params_;
  Forward forward_;
};

// The plan gives what the graph gives, the same bits for any split and any threads.
void check_plan(const Graph& graph) {
  const Plan plan = compile(graph);
  CAPTURE(plan.describe());
  const int64_t n = 9;
  const Tensor x = normals(graph.input_shape(n), 7);
  const Tensor got = plan(x);
  const Tensor expected = graph.clone()(x, Mode::eval);
  check_near(got, expected);
  const auto whole = got.to_vector<float>();
  for (const int count : {1, 2}) {
    set_threads(count);
    CHECK(plan(x).to_vector<float>() == whole);
    std::vector<float> parts;
    for (const auto& [first, last] : {std::pair{0, 1}, {1, 4}, {4, 9}}) {
      const auto part = plan(x.rows(first, last)).to_vector<float>();
      parts.insert(parts.end(), part.begin(), part.end());
    }
    CHECK(parts == whole);
  }
  set_threads(0);
}
void check_plan(Module& net, const Shape& one) { check_plan(capture(net, Tensor::zeros(one))); }

}  // namespace

TEST_CASE("plans of random networks give what their graphs give, dense and pruned") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const auto net = random_net(seed);
    Graph graph = capture(*net, Tensor::zeros({2, 3, 8, 8})).clone();
    Rng rng(seed);
    if (seed % 2 == 0)
      for (const PrunableWeight& w : prunable_weights(graph)) {
        const Tensor value = w.param.value();
        for (int64_t i = 0; i < value.elements(); ++i)
          if (rng.uniform() < 0.8) value.data<float>()[i] = 0;
      }
    check_plan(graph);
  }
}

TEST_CASE("images of one channel lie plain for whoever reads them in another shape") {
  Net four({{1, 2, 3, 3}, {1}, {4, 4, 3, 3}, {4}}, [](const Tensor& x, std::vector<Param>& p) {
    const Tensor y = conv2d(x, p[0](), p[1](), {.padding = 1});
    return flatten(conv2d(reshape(y, {-1, 4, 4, 4}), p[2](), p[3](), {.padding = 1}));
  });
  check_plan(four, {1, 2, 8, 8});
  Net three({{1, 2, 3, 3}, {1}}, [](const Tensor& x, std::vector<Param>& p) {
    return reshape(conv2d(x, p[0](), p[1](), {.padding = 1}), {-1, 8, 8});
  });
  check_plan(three, {1, 2, 8, 8});
}

TEST_CASE("an op of several outputs runs once for each that is read") {
  Net all({{4, 1, 3, 3}, {4}, {10, 2 * 28 * 28}, {10}}, [](const Tensor& x, std::vector<Param>& p) {
    const auto half = split(conv2d(x, p[0](), p[1](), {.padding = 1, .relu = true}), 1, {2, 2});
    return dense(flatten(half[0] + relu(half[1])), p[2](), p[3]());
  });
  check_plan(all, {1, 1, 28, 28});
  Net last({{4, 1, 3, 3}, {4}}, [](const Tensor& x, std::vector<Param>& p) {
    return flatten(split(conv2d(x, p[0](), p[1](), {}), 1, {1, 2, 1})[2]);
  });
  check_plan(last, {1, 1, 9, 9});
}

TEST_CASE("images without channels and layers without inputs or outputs") {
  Net pixels({{5, 12}, {5}}, [](const Tensor& x, std::vector<Param>& p) {
    const Tensor none =
        max_pool2d(relu(slice(x, {0, 1, 0, 0}, {slice_to_end, 1, 8, 8}, {1, 1, 1, 1})), 2, 2);
    const Tensor y = pad(avg_pool2d(none, 2, 2), {0, 0, 0, 0}, {0, 3, 0, 0});
    return dense(flatten(y), p[0](), p[1]());
  });
  check_plan(pixels, {1, 1, 8, 8});
  Net features({{0, 3}, {0}, {4, 0}, {4}}, [](const Tensor& x, std::vector<Param>& p) {
    return dense(relu(dense(x, p[0](), p[1]())), p[2](), p[3]());
  });
  check_plan(features, {1, 3});
}

TEST_CASE("an op that looks across images sees them all") {
  // softmax of one axis runs over the batch; its result depends on all images.
  Net across({{6, 5}, {6}}, [](const Tensor& x, std::vector<Param>& p) {
    return softmax(sum(dense(x, p[0](), p[1]()), {1}));
  });
  Graph graph = capture(across, Tensor::zeros({1, 5})).clone();
  const Plan plan = compile(graph);
  const Tensor x = normals({64, 5}, 3);
  set_threads(2);
  const auto got = plan(x).to_vector<double>(), want = graph(x, Mode::eval).to_vector<double>();
  set_threads(0);
  for (size_t i = 0; i < want.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-4));
}

TEST_CASE("compiling a deep web of additions takes no time") {
  Net web({{8, 3, 3, 3}, {8}}, [](const Tensor& x, std::vector<Param>& p) {
    Tensor y = conv2d(x, p[0](), p[1](), {.padding = 1});
    for (int i = 0; i < 60; ++i) y = relu(y) + relu(y);
    return flatten(y);
  });
  Graph graph = capture(web, Tensor::zeros({1, 3, 8, 8})).clone();
  prune(graph, *make_criterion("magnitude"), {.sparsity = 0.9});
  CHECK(compile(graph).fallbacks().empty());
}
