// Graphs that lie: a file may say anything, and whatever it says is a value or Error{bad_input}.
#include <doctest/doctest.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>

#include "autograd/graph_file.h"
#include "autograd/tape.h"
#include "examples/own_op/softsign.cpp"
#include "layers/layers.h"

using namespace pare;

namespace {

struct Image : Module {
  static constexpr Conv2dOptions same{.padding = 1};
  Conv2d conv{2, 3, 3, same};
  BatchNorm2d norm{3, true};
  Dense out{6, 4};
  Tensor forward(const Tensor& x, Mode mode) override {
    const Tensor y = norm(conv(x, mode), mode);
    const Tensor both = concat({y, add(y, y)}, 1);
    return out(mean(clamp(pad(both, {0, 0, 1, 0}, {0, 0, 0, 1}), -HUGE_VAL, 6), {2, 3}), mode);
  }
  void visit(Visitor& v) override {
    v("conv", conv);
    v("norm", norm);
    v("out", out);
  }
};

// Writes the graph as `lie` left it, past the writer's own check where that is all that stops it,
// and loads it.
void loads(const std::function<void(Graph&)>& lie) {
  Image net;
  Graph g = capture(net, Tensor::zeros({1, 2, 4, 4})).clone();
  lie(g);
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("pare-hostile-" + std::to_string(::getpid()) + ".pare"))
                               .string();
  try {
    save_graph(g, path);
    load_graph(path);
  } catch (...) {
    std::filesystem::remove(path);
    throw;
  }
  std::filesystem::remove(path);
}

GraphNode& node(Graph& g, const char* op) {
  for (GraphNode& n : g.nodes)
    if (n.op->name == std::string_view(op)) return n;
  FAIL("no such node");
  return g.nodes[0];
}

bool refused(const std::function<void(Graph&)>& lie) {
  try {
    loads(lie);
  } catch (const Error& e) {
    CAPTURE(e.what());
    CHECK(e.code() == ErrorCode::bad_input);
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("graphs that lie are refused when they are loaded") {
  CHECK_NOTHROW(loads([](Graph&) {}));
  CHECK(refused([](Graph& g) { node(g, "add").inputs.pop_back(); }));
  CHECK(refused([](Graph& g) { node(g, "mean").attrs.set("axes", Ints{100000}); }));
  CHECK(refused([](Graph& g) { node(g, "mean").attrs.set("axes", Ints{-1}); }));
  CHECK(refused([](Graph& g) { node(g, "mean").attrs.set("axes", Ints{2, 2}); }));
  CHECK(refused([](Graph& g) {
    GraphNode& n = node(g, "concat");
    n.inputs.assign(10, n.inputs[0]);
  }));
  for (const Ints& sizes : {Ints{1000000, 3}, Ints{3}, Ints{-3, 3}})
    CHECK(refused([&](Graph& g) { node(g, "concat").attrs.set("sizes", sizes); }));
  for (const int64_t axis : {int64_t(-3), int64_t(4), int64_t(1) << 32, INT64_MIN, INT64_MAX})
    CHECK(refused([&](Graph& g) { node(g, "concat").attrs.set("axis", axis); }));
  for (const char* name : {"stride", "padding", "dilation", "groups"})
    for (const int64_t v : {int64_t(-1), int64_t(1) << 33, INT64_MIN, INT64_MAX})
      CHECK(refused([&](Graph& g) { node(g, "conv2d").attrs.set(name, v); }));
  CHECK(refused([](Graph& g) {  // the same output from an image of 160 GB
    node(g, "conv2d").attrs.set("padding", 100000).set("stride", 60000);
  }));
  CHECK(refused([](Graph& g) { g.buffers[0].buffer.set_value(Tensor::zeros({1})); }));
  CHECK(refused([](Graph& g) { node(g, "batch_norm").buffers.pop_back(); }));
  CHECK(refused([](Graph& g) { node(g, "dense").attrs = Attrs(); }));
  CHECK(refused([](Graph& g) { node(g, "conv2d").attrs.set("relu", 0.5); }));
  CHECK(refused([](Graph& g) { node(g, "pad").attrs.set("after", Ints{0, 0, 50000, 50000}); }));
  CHECK(refused([](Graph& g) { g.values[size_t(g.input)].shape.values[2] = -4; }));
  CHECK(refused([](Graph& g) { g.values[size_t(g.outputs[0])].shape.values[1] = 5; }));
  CHECK(refused([](Graph& g) { g.values[size_t(g.outputs[0])].shape.symbolic = 3; }));
}

TEST_CASE("infinite attributes are saved") {
  Image net;
  Graph g = capture(net, Tensor::zeros({1, 2, 4, 4}));
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("pare-infinite-" + std::to_string(::getpid()) + ".pare"))
                               .string();
  save_graph(g, path);
  Graph loaded = load_graph(path);
  std::filesystem::remove(path);
  CHECK(node(loaded, "clamp").attrs.real("low") == -HUGE_VAL);
  CHECK(node(loaded, "clamp").attrs.real("high") == 6);
}

TEST_CASE("threads may evaluate one graph from its first run on") {
  Image net;
  initialize(net, 1);
  const Tensor x = Tensor::full({3, 2, 4, 4}, 0.5);
  const std::vector<float> want = net(x).to_vector<float>();
  for (int round = 0; round < 20; ++round) {
    Graph g = capture(net, x);
    std::vector<std::vector<float>> got(4);
    std::vector<std::thread> threads;
    for (auto& y : got) threads.emplace_back([&] { y = g(x).to_vector<float>(); });
    for (std::thread& t : threads) t.join();
    for (const auto& y : got) REQUIRE(y == want);
  }
}

TEST_CASE("a batch of one trains and replays like the module") {
  Image module, copy;
  initialize(module, 1);
  initialize(copy, 1);
  Graph graph = capture(copy, Tensor::full({2, 2, 4, 4}, 0.5));
  const Tensor x = Tensor::full({1, 2, 4, 4}, 0.25), label = Tensor::zeros({1}, DType::i32);
  CHECK(graph(x).to_vector<float>() == module(x).to_vector<float>());
  const auto gradients = [&](Module& m) {
    Tape tape;
    tape.backward(softmax_cross_entropy(m(x, Mode::train), label));
    std::vector<std::vector<float>> all;
    for (Param& p : parameters(m)) all.push_back(p.grad().to_vector<float>());
    return all;
  };
  CHECK(gradients(graph) == gradients(module));
}

TEST_CASE("an op that knows no formats stands behind a convolution") {
  Conv2d conv(1, 2, 1);
  conv.weight.value().copy_from(Tensor::from<float>({1, 10}, {2, 1, 1, 1}));
  const Tensor x = Tensor::from<float>({1, -2, 3, 4}, {1, 1, 2, 2});
  Tape tape;
  const Tensor in = tape.watch(x), y = conv(in), z = apply(softsign_op(), {&y});
  CHECK(y.format() == Format::nhwc);
  CHECK(z.format() == Format::nhwc);
  const std::vector<float> weights{1, 10}, pixels{1, -2, 3, 4};
  std::vector<double> want, gradient(4, 0);
  for (const float w : weights)
    for (size_t i = 0; i < 4; ++i) {
      const double v = w * pixels[i], slope = 1 / (1 + std::fabs(v));
      want.push_back(v * slope);
      gradient[i] += w * slope * slope;
    }
  tape.backward(z, Tensor::full(z.shape(), 1).in_format(z.format()));
  const auto got = z.to_vector<double>(), dx = tape.grad(in).to_vector<double>();
  for (size_t i = 0; i < want.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]));
  for (size_t i = 0; i < 4; ++i) CHECK(dx[i] == doctest::Approx(gradient[i]));
}

TEST_CASE("an op that declares too many outputs is an error") {
  static const Op& op = register_op({.name = "test_many", .infer = [](Call& c) {
                                       for (int i = 0; i < 40; ++i) c.output(c.x().shape());
                                     }});
  const Tensor x = Tensor::zeros({2});
  CHECK_THROWS_WITH_AS(apply(op, {&x}), doctest::Contains("more than 4 outputs"), Error);
}

TEST_CASE("children that join a network after its first run have names") {
  Sequential net;
  net.add<Dense>("a", 4, 4);
  net(Tensor::zeros({1, 4}));
  net.add<Dense>("late", 9, 3);
  CHECK_THROWS_WITH_AS(net(Tensor::zeros({1, 4})), doctest::Contains("late"), Error);
}

namespace {
struct Scaled : Module {
  Dense dense{4, 3};
  bool as_constant = false;
  Tensor forward(const Tensor& x, Mode) override {
    const float first = x.data<float>()[0];  // not seen by the hook on to_vector and item
    const Tensor y = dense(x);
    return as_constant ? mul(y, Tensor::full({1, 3}, first)) : mul_scalar(y, first);
  }
  void visit(Visitor& v) override { v("dense", dense); }
};
struct ManyConstants : Module {
  Dense dense{4, 4};
  Tensor forward(const Tensor& x, Mode) override {
    Tensor y = dense(x);
    for (int i = 0; i < 3000; ++i) y = add(y, Tensor::full({1, 4}, i));
    return y;
  }
  void visit(Visitor& v) override { v("dense", dense); }
};
}  // namespace

TEST_CASE("capture notices what follows the input's values") {
  Scaled net;
  for (const bool as_constant : {false, true}) {
    net.as_constant = as_constant;
    CHECK_THROWS_WITH_AS(capture(net, Tensor::full({1, 4}, 2)), doctest::Contains("differs"),
                         Error);
  }
}

TEST_CASE("capture of thousands of constants takes no time") {
  ManyConstants net;
  const std::clock_t start = std::clock();  // of this process: other programs do not count
  const Graph g = capture(net, Tensor::zeros({2, 4}));
  CHECK(g.values.size() == 3000 * 2 + 4);
  CHECK(std::clock() - start < 2 * CLOCKS_PER_SEC);
}

TEST_CASE("a graph's constants follow its element type") {
  struct Shifted : Module {
    Dense dense{4, 3};
    Tensor forward(const Tensor& x, Mode) override {
      return add(dense(x), Tensor::full({1, 3}, 0.5));
    }
    void visit(Visitor& v) override { v("dense", dense); }
  } net;
  Graph g = capture(net, Tensor::zeros({1, 4})).clone();
  to_dtype(g, DType::f64);
  CHECK(g(Tensor::zeros({2, 4}, DType::f64)).to_vector<double>() == std::vector<double>(6, 0.5));
  CHECK_NOTHROW(g.verify_shapes(1 << 20));
}
