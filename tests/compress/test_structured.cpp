#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"
#include "autograd/tape.h"
#include "compress/plan/plan.h"
#include "compress/prune/structured/prune_channels.h"
#include "core/random.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"
#include "tests/support/random_net.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

// A share of every group's units at random, at least one of each stays.
KeptUnits random_units(const ChannelAnalysis& analysis, uint64_t seed, double share = 0.5) {
  Rng rng(seed);
  KeptUnits kept = keep_all(analysis);
  for (auto& flags : kept) {
    for (auto& k : flags) k = rng.uniform() >= share;
    flags[rng.below(flags.size())] = 1;
  }
  return kept;
}

// The same network with the removed channels of every computed value multiplied by zero: what
// removal is held against.
Graph with_zeroed_channels(const Graph& graph, const ChannelAnalysis& analysis,
                           const KeptUnits& kept) {
  Graph g = graph.clone();
  for (size_t i = 0; i < kept.size(); ++i)
    for (const ChannelAxis& a : analysis.groups[i].axes) {
      if (a.value < 0 || g.values[size_t(a.value)].kind != ValueKind::computed) continue;
      const GraphValue v = g.values[size_t(a.value)];
      Shape shape;
      for (int axis = a.axis; axis < v.shape.size(); ++axis)
        shape.push_back(axis == a.axis ? v.shape[axis] : 1);
      const Tensor mask = Tensor::full(shape, 1, v.dtype);
      std::vector<double> ones(size_t(mask.elements()), 1);
      for (size_t k = 0; k < a.indices.size(); ++k)
        ones[size_t(a.indices[k])] = kept[i][k / size_t(a.per_unit)];
      GraphValue m;
      m.name = "mask";
      m.kind = ValueKind::constant;
      m.dtype = v.dtype;
      m.shape = Ints(shape.data(), shape.rank());
      m.constant = Tensor::from(ones, shape).to(v.dtype);
      const int mask_id = g.add_value(m);
      GraphValue out = v;
      out.name = v.name + ".zeroed";
      const int out_id = g.add_value(out);
      const int made = g.producer(a.value);
      g.replace_uses(a.value, out_id, made + 1);
      GraphNode node;
      node.op = &mul_op();
      node.name = g.values[size_t(out_id)].name + "/mul";
      node.inputs = {a.value, mask_id};
      node.outputs = {out_id};
      g.insert_node(made + 1, node);
    }
  return g;
}

double distance(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  REQUIRE(x.size() == y.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, std::abs(x[i] - y[i]) / (1 + std::abs(y[i])));
  return worst;
}

}  // namespace

TEST_CASE("random networks: removing channels gives the outputs of zeroing them") {
  int64_t groups = 0, removed = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    const auto net = testing::random_net(seed);
    Graph g = capture(*net, Tensor::zeros({2, 3, 8, 8}));
    to_dtype(g, DType::f64);
    for (GraphValue& v : g.values) v.dtype = DType::f64;
    const ChannelAnalysis analysis = find_channel_groups(g);
    INFO(to_string(g) << describe(g, analysis));
    const KeptUnits kept = random_units(analysis, seed);
    Graph zeroed = with_zeroed_channels(g, analysis, kept);
    const int64_t before = parameter_count(g);
    remove_channels(g, analysis, kept);
    g.verify();
    groups += int64_t(analysis.groups.size());
    removed += parameter_count(g) < before;
    const Tensor x = normals<double>({3, 3, 8, 8}, seed);
    for (const Mode mode : {Mode::eval, Mode::train, Mode::eval})
      CHECK(distance(g(x, mode), zeroed(x, mode)) < 1e-9);
  }
  // The property is not empty: nearly every network has something to remove.
  MESSAGE(groups << " groups, " << removed << " networks with removals");
  CHECK(removed > 290);
  CHECK(groups > 1000);
}

TEST_CASE("groups of the named networks") {
  const auto groups = [](const char* name, ImageShape shape) {
    const auto net = make_model(name, shape, 10, 1);
    const Graph g = capture(*net, Tensor::zeros({1, shape.channels, shape.height, shape.width}));
    return list_groups(find_channel_groups(g));
  };
  CHECK(groups("mlp", {1, 28, 28}) == "fc1 300, fc2 100");
  CHECK(groups("lenet5", {1, 28, 28}) == "conv1 20, conv2 50, fc1 500");
  CHECK(groups("cifar-cnn", {3, 32, 32}) == "conv1 32, conv2 32, conv3 64, conv4 64, fc1 256");
  // The stages of a residual network widen by padding: the first 16 channels run through all of it,
  // 16 more through the last two stages, 32 through the last.
  CHECK(groups("resnet20", {3, 32, 32}) ==
        "conv 16, stage1.block1.conv1 16, stage1.block2.conv1 16, stage1.block3.conv1 16, "
        "stage2.block1.conv1 32, stage2.block1.conv2 16, stage2.block2.conv1 32, "
        "stage2.block3.conv1 32, stage3.block1.conv1 64, stage3.block1.conv2 32, "
        "stage3.block2.conv1 64, stage3.block3.conv1 64");
}

TEST_CASE("a flattened channel takes its run of features along") {
  const auto net = make_model("lenet5", {1, 28, 28}, 10, 1);
  Graph g = capture(*net, Tensor::zeros({1, 1, 28, 28}));
  const auto before = g.values[size_t(g.find_value("fc1.weight"))].param.value().to_vector<float>();
  const ChannelAnalysis analysis = find_channel_groups(g);
  KeptUnits kept = keep_all(analysis);
  kept[1][7] = 0;  // of conv2: features 7 * 16 to 8 * 16
  remove_channels(g, analysis, kept);
  const Tensor& fc1 = g.values[size_t(g.find_value("fc1.weight"))].param.value();
  CHECK(fc1.shape() == Shape{500, 784});
  const auto after = fc1.to_vector<float>();
  for (size_t r = 0; r < 500; ++r)
    for (size_t c = 0; c < 784; ++c)
      if (after[r * 784 + c] != before[r * 800 + (c < 112 ? c : c + 16)])
        FAIL("row " << r << ", feature " << c);
}

TEST_CASE("grouped convolutions lose whole groups, or the same channels in each") {
  const auto shrink = [](int64_t in, int64_t out, int groups, const char* what) {
    Sequential net;
    net.add<Conv2d>("a", 3, in, 1).add<Conv2d>("g", in, out, 3, Conv2dOptions{.groups = groups});
    net.add<Conv2d>("c", out, 2, 1);
    initialize(net, 1);
    Graph g = capture(net, Tensor::zeros({1, 3, 8, 8}));
    const ChannelAnalysis analysis = find_channel_groups(g);
    CHECK(list_groups(analysis) == what);
    KeptUnits kept = keep_all(analysis);
    for (auto& flags : kept) flags[1] = 0;
    remove_channels(g, analysis, kept);
    const GraphNode& node = g.nodes[size_t(g.find_node("g/conv2d"))];
    return std::pair(node.attrs.integer("groups"),
                     g.values[size_t(node.inputs[1])].param.value().shape());
  };
  CHECK(shrink(6, 6, 6, "a 6") == std::pair(int64_t(5), Shape{5, 1, 3, 3}));
  CHECK(shrink(6, 12, 6, "a 6") == std::pair(int64_t(5), Shape{10, 1, 3, 3}));
  CHECK(shrink(6, 2, 2, "a 6") == std::pair(int64_t(1), Shape{1, 3, 3, 3}));
  CHECK(shrink(6, 4, 2, "a 6, g 4") == std::pair(int64_t(2), Shape{2, 2, 3, 3}));
}

TEST_CASE("what pruning does not know stays whole and is named") {
  const Op& unknown = [&]() -> const Op& {
    static const Op& op = register_op(
        {.name = "test_mystery",
         .infer = [](Call& c) { c.output(c.x().shape(), c.x().dtype(), c.x().format()); },
         .forward = [](Call& c) { c.outputs[0].copy_from(c.x()); },
         .backward = [](BackwardCall& c) { c.passed[0] = c.grad_outputs[0]; },
         .passes_gradients = true});
    return op;
  }();
  struct Mystery : Module {
    const Op* op;
    Tensor forward(const Tensor& x, Mode) override { return apply(*op, {&x}); }
    void visit(Visitor&) override {}
  };
  Sequential net;
  auto mystery = std::make_unique<Mystery>();
  mystery->op = &unknown;
  net.add<Dense>("a", 5, 6).add("m", std::move(mystery)).add<Dense>("b", 6, 7);
  net.add<Dense>("c", 7, 3);
  initialize(net, 1);
  Graph g = capture(net, Tensor::zeros({1, 5}));
  const ChannelAnalysis analysis = find_channel_groups(g);
  CHECK(list_groups(analysis) == "b 7");
  REQUIRE(analysis.kept.size() == 2);
  CHECK(analysis.kept[0].name == "a");
  CHECK(analysis.kept[0].channels == 6);
  CHECK(analysis.kept[0].why.find("'test_mystery'") != std::string::npos);
  CHECK(analysis.kept[1].name == "c");
  const Tensor x = normals({2, 5}, 1);
  const KeptUnits kept = random_units(analysis, 3);
  Graph zeroed = with_zeroed_channels(g, analysis, kept);
  remove_channels(g, analysis, kept);
  CHECK(distance(g(x), zeroed(x)) < 1e-6);

  Sequential all;
  mystery = std::make_unique<Mystery>();
  mystery->op = &unknown;
  all.add<Dense>("a", 5, 6).add("m", std::move(mystery)).add<Dense>("b", 6, 7);
  Graph h = capture(all, Tensor::zeros({1, 5}));
  CHECK_THROWS_WITH_AS(prune_channels(h, FilterNorm(1)), doctest::Contains("test_mystery"), Error);
}

namespace {

// Swaps the first `half` channels with those behind them: an op with a rule of its own.
const Op& swap_op() {
  static const Op& op = register_op(
      {.name = "test_swap",
       .infer = [](Call& c) { c.output(c.x().shape(), c.x().dtype(), Format::plain); },
       .forward =
           [](Call& c) {
             const int64_t half = c.attrs->integer("half"), n = c.x().size(1);
             for (int64_t i = 0; i < c.x().elements(); ++i) {
               const int64_t row = i / n, k = i % n;
               c.outputs[0].data<float>()[row * n + (k < half ? n - half + k : k - half)] =
                   c.x().data<float>()[i];
             }
           },
       .differentiable = false,
       .couple =
           [](ChannelTies& t) {
             const int64_t half = t.attrs().integer("half"), n = t.shape(input_at())[1];
             for (int64_t i = 0; i < n; ++i)
               t.tie(input_at(), 1, i, output_at(), 1, i < half ? n - half + i : i - half);
           },
       .resize =
           [](const ChannelCut& cut, Attrs& attrs) {
             attrs.set("half", cut.kept_below(input_at(), 1, attrs.integer("half")));
           }});
  return op;
}

}  // namespace

TEST_CASE("an op of the user's says how its channels couple") {
  struct Swap : Module {
    Tensor forward(const Tensor& x, Mode) override {
      return apply(swap_op(), {&x}, Attrs().set("half", 2));
    }
    void visit(Visitor&) override {}
  };
  Sequential net;
  net.add<Dense>("a", 5, 6).add("swap", std::make_unique<Swap>()).add<Dense>("b", 6, 3);
  initialize(net, 1);
  Graph g = capture(net, Tensor::zeros({1, 5}));
  const ChannelAnalysis analysis = find_channel_groups(g);
  REQUIRE(list_groups(analysis) == "a 6");
  const KeptUnits kept = {{0, 1, 1, 0, 1, 0}};
  Graph zeroed = with_zeroed_channels(g, analysis, kept);
  remove_channels(g, analysis, kept);
  CHECK(g.nodes[1].attrs.integer("half") == 1);
  const Tensor x = normals({2, 5}, 1);
  CHECK(distance(g(x), zeroed(x)) < 1e-6);
}

TEST_CASE("a pruned network trains on with the optimizer it had, saves, loads and compiles") {
  const auto net = make_model("resnet20", {3, 16, 16}, 4, 5);
  Graph g = capture(*net, Tensor::zeros({1, 3, 16, 16}));
  const Tensor x = normals({6, 3, 16, 16}, 1);
  const Tensor y = Tensor::from<int32_t>({0, 1, 2, 3, 1, 2}, {6});
  const auto train = [&](Graph& graph, Optimizer& optimizer, int steps) {
    for (int i = 0; i < steps; ++i) {
      Tape tape;
      tape.backward(softmax_cross_entropy(graph(x, Mode::train), y));
      optimizer.step();
    }
  };
  Sgd sgd(named_parameters(g), {.rate = 0.05, .momentum = 0.9, .weight_decay = 1e-3});
  train(g, sgd, 3);
  // A mask travels with the rows that stay.
  Param conv = g.values[size_t(g.find_value("stage1.block1.conv1.weight"))].param;
  std::vector<uint8_t> mask(size_t(conv.value().elements()), 1);
  for (size_t i = 0; i < mask.size(); i += 3) mask[i] = 0;
  conv.set_mask(Tensor::from(mask, conv.value().shape()));

  const ChannelAnalysis analysis = find_channel_groups(g);
  const KeptUnits kept = random_units(analysis, 7);
  Graph zeroed = with_zeroed_channels(g, analysis, kept);
  Sgd sgd_zeroed(named_parameters(zeroed), {.rate = 0.05, .momentum = 0.9, .weight_decay = 1e-3});
  remove_channels(g, analysis, kept);
  for (const auto& [name, p] : named_parameters(g)) {
    CHECK(p.state().slots.size() == 1);
    CHECK(p.state().slots[0].second.shape() == p.value().shape());
  }
  train(g, sgd, 3);
  train(zeroed, sgd_zeroed, 3);
  CHECK(distance(g(x), zeroed(x)) < 2e-3);
  const ParamState& state = conv.state();
  CHECK(state.mask.shape() == state.value.shape());
  const auto m = state.mask.to_vector<uint8_t>();
  const auto w = state.value.to_vector<float>();
  int64_t masked = 0;
  for (size_t i = 0; i < m.size(); ++i) {
    masked += !m[i];
    if (!m[i]) CHECK(w[i] == 0);
  }
  CHECK(masked > 0);

  const Tensor out = g(x);
  const std::string file = "test_structured.pare";
  save_graph(g, file);
  Graph loaded = load_graph(file);
  std::remove(file.c_str());
  CHECK(loaded(x).to_vector<float>() == out.to_vector<float>());
  Tensor compiled = Tensor::empty(out.shape());
  compile(g).run(x, compiled);
  CHECK(distance(compiled, out) < 1e-4);
  // What is pruned can be pruned again.
  const ChannelAnalysis again = find_channel_groups(g);
  CHECK(again.groups.size() > 0);
  remove_channels(g, again, random_units(again, 8));
  CHECK(g(x).shape() == Shape{6, 4});
}
