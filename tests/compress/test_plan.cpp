// Compiled plans against the graph they come from: values, bits, threads, memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "compress/passes/passes.h"
#include "compress/plan/plan.h"
#include "compress/prune/prune.h"
#include "compress/quantize/calibrate.h"
#include "compress/quantize/quantize.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "tests/support/isas.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

constexpr const char* zoo_names[] = {"mlp",       "lenet5",   "lenet5-classic",
                                     "cifar-cnn", "resnet20", "resnet32"};

// A network of the zoo whose batch norms have seen something.
Graph network(const std::string& name) {
  const bool colour = name.starts_with("resnet") || name == "cifar-cnn";
  const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
  auto net = make_model(name, shape, 10, 3);
  const Tensor x = normals({8, shape.channels, shape.height, shape.width}, 5);
  (*net)(x, Mode::train);
  return capture(*net, x).clone();
}

std::vector<float> bits(const Plan& plan, const Tensor& x) { return plan(x).to_vector<float>(); }

}  // namespace

TEST_CASE("a plan gives what its graph gives, on every instruction set") {
  for (const std::string name : zoo_names) {
    CAPTURE(name);
    Graph graph = network(name);
    const Tensor x = normals(graph.input_shape(5), 1);
    const Tensor want = graph(x, Mode::eval);
    const IsaScope scope;
    for (const Isa isa : isas_here(true)) {
      set_isa(isa);
      const Plan plan = compile(graph);
      CHECK(plan.fallbacks().empty());
      check_near(plan(x), want);
    }
  }
}

TEST_CASE("the bits depend neither on the split of the batch nor on threads") {
  for (const std::string name : {"mlp", "lenet5", "lenet5-classic", "cifar-cnn", "resnet20"}) {
    CAPTURE(name);
    const Graph graph = network(name);
    const IsaScope scope;
    for (const Isa isa : isas_here(true)) {
      set_isa(isa);
      const Plan plan = compile(graph);
      const Tensor x = normals(graph.input_shape(13), 2);
      const std::vector<float> whole = bits(plan, x);
      for (const int n : {1, 2, 3, 8}) {
        set_threads(n);
        CHECK(bits(plan, x) == whole);
        std::vector<float> parts;
        for (const auto& [first, last] : {std::pair{0, 1}, {1, 3}, {3, 4}, {4, 13}}) {
          const std::vector<float> part = bits(plan, x.rows(first, last));
          parts.insert(parts.end(), part.begin(), part.end());
        }
        CHECK(parts == whole);
      }
      set_threads(0);
    }
  }
}

// CI runs this under the thread sanitizer too. Batches of several sizes cut frames and steps alike.
TEST_CASE("many threads may run one plan") {
  for (const std::string name : {"lenet5-classic", "cifar-cnn"}) {
    CAPTURE(name);
    const Graph graph = network(name);
    const Plan plan = compile(graph);
    const Tensor x = normals(graph.input_shape(5), 4);
    const std::vector<float> want = bits(plan, x);
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int64_t i = 0; i < 8; ++i)
      callers.emplace_back([&, count = i % 5 + 1] {
        const Tensor part = x.rows(0, count);
        Tensor out;
        for (int k = 0; k < 10; ++k) {
          plan.run(part, out);
          const std::vector<float> got = out.to_vector<float>();
          wrong += !std::equal(got.begin(), got.end(), want.begin());
        }
      });
    for (std::thread& t : callers) t.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("a plan runs, as many threads call it, while the number of threads changes") {
  const Graph graph = network("lenet5-classic");
  const Plan plan = compile(graph);
  const Tensor x = normals(graph.input_shape(9), 4);
  const std::vector<float> want = bits(plan, x);
  std::atomic<int> wrong{0};
  std::atomic<bool> running{true};
  std::thread changes([&] {
    for (int i = 0; running; ++i) set_threads(1 + i % 4);
  });
  const auto call = [&](int64_t count) {
    const Tensor part = x.rows(0, count);
    Tensor out;
    for (int k = 0; k < 30; ++k) {
      plan.run(part, out);
      const std::vector<float> got = out.to_vector<float>();
      wrong += !std::equal(got.begin(), got.end(), want.begin());
    }
  };
  std::thread other(call, 9);
  call(2);
  other.join();
  running = false;
  changes.join();
  set_threads(0);
  CHECK(wrong == 0);
}

namespace {

// Ops the plan knows and ops it does not, a value read twice, a shortcut over a grouped
// convolution.
class Mixed : public Module {
 public:
  Mixed() {
    initialize(*this, 7);
    norm_.running_mean.value().fill(0.25);
  }
  Tensor forward(const Tensor& x, Mode mode) override {
    const Tensor a = relu(norm_(first_(x, mode), mode));
    const Tensor b = add(grouped_(a, mode), a);
    const Tensor c = avg_pool2d(concat({b, sigmoid(b)}, 1), 2);
    return last_(flatten(relu(c)), mode);
  }
  void visit(Visitor& v) override {
    v("first", first_);
    v("norm", norm_);
    v("grouped", grouped_);
    v("last", last_);
  }

 private:
  Conv2d first_{3, 8, 3, {.stride = 2, .padding = 1}};
  BatchNorm2d norm_{8};
  Conv2d grouped_{8, 8, 3, {.padding = 2, .dilation = 2, .groups = 4}};
  Dense last_{256, 5};
};

}  // namespace

TEST_CASE("ops without a kernel run as the graph's own and are named") {
  Mixed net;
  Graph graph = capture(net, Tensor::zeros({1, 3, 16, 16}));
  const Plan plan = compile(graph);
  CHECK(plan.fallbacks().size() == 2);
  CHECK(plan.describe().find("the graph's own concat") != std::string::npos);
  for (const int64_t n : {1, 4, 9}) {
    const Tensor x = normals({n, 3, 16, 16}, uint64_t(n));
    check_near(plan(x), graph(x, Mode::eval));
  }
}

TEST_CASE("each pass keeps what the graph computes") {
  Graph graph = network("resnet20");
  const Tensor x = normals(graph.input_shape(3), 6);
  const Tensor want = graph(x, Mode::eval);
  const size_t nodes = graph.nodes.size();
  CHECK(fold_batch_norm(graph) == 19);
  check_near(graph(x, Mode::eval), want);
  CHECK(fuse_residual(graph) == 9);
  check_near(graph(x, Mode::eval), want);
  CHECK(fuse_activation(graph) == 9);
  check_near(graph(x, Mode::eval), want);
  CHECK(graph.nodes.size() == nodes - 19);
}

TEST_CASE("an integer network gives the same bits as its graph") {
  Graph graph = network("mlp");
  const Tensor x = normals(graph.input_shape(7), 8);
  quantize(graph, calibrate(graph, {x}));
  Graph integers = lower(graph);
  const Plan plan = compile(integers);
  CHECK(bits(plan, x) == integers(x, Mode::eval).to_vector<float>());
}

TEST_CASE("wrong input is refused by shape and type") {
  const Plan plan = compile(network("mlp"));
  Tensor out;
  CHECK_THROWS_WITH_AS(plan.run(Tensor::zeros({2, 1, 28, 27}), out), doctest::Contains("28"),
                       Error);
  CHECK_THROWS_WITH_AS(plan.run(Tensor::zeros({2, 1, 28, 28}, DType::f64), out),
                       doctest::Contains("f64"), Error);
  plan.run(Tensor::zeros({0, 1, 28, 28}), out);
  CHECK(out.shape() == Shape{0, 10});
}

TEST_CASE("sparse layers give the bits of dense ones, for any split") {
  Graph graph = network("mlp");
  prune(graph, *make_criterion("magnitude"), {.sparsity = 0.95});
  const Tensor x = normals(graph.input_shape(205), 9);
  const IsaScope scope;
  for (const Isa isa : isas_here(true)) {
    set_isa(isa);
    const Plan sparse = compile(graph), dense = compile(graph, {.sparse = false});
    CAPTURE(sparse.describe());
    CHECK(sparse.describe().find("on 64 images") != std::string::npos);
    for (const int n : {1, 2}) {
      set_threads(n);
      CHECK(bits(sparse, x) == bits(dense, x));
      CHECK(bits(sparse, x.rows(0, 33)) == bits(dense, x.rows(0, 33)));
    }
    set_threads(0);
  }
}

TEST_CASE("a profile has the steps of the plan, in their order, and leaves the plan as it was") {
  const Graph graph = network("lenet5");
  const Plan plan = compile(graph);
  for (const int64_t batch : {1, 64}) {
    const Tensor x = normals(graph.input_shape(batch), 7);
    const auto before = bits(plan, x);
    std::string text;
    double sum = 0;
    for (const StepTime& t : plan.profile(x)) {
      text += t.node + ": " + t.kernel + "\n";
      CHECK(t.form == t.kernel);
      CHECK(t.micros > 0);
      sum += t.micros;
    }
    CHECK(text == plan.describe());
    CHECK(sum > 1);
    CHECK(bits(plan, x) == before);
  }
  CHECK(plan.profile(normals(graph.input_shape(0), 7))[0].micros == 0);
  CHECK_THROWS_AS(plan.profile(normals({1, 3, 5, 5}, 7)), Error);
}
