#include <doctest/doctest.h>

#include <cmath>

#include "autograd/graph_summary.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/prune/structured/blocks.h"
#include "compress/prune/structured/norm_penalty.h"
#include "compress/prune/structured/prune_channels.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

Graph network(const char* name, ImageShape shape) {
  const auto net = make_model(name, shape, 10, 3);
  Graph g = capture(*net, Tensor::zeros({1, shape.channels, shape.height, shape.width}));
  // Norms that differ, as trained ones do.
  uint64_t seed = 1;
  for (auto& [path, p] : named_parameters(g))
    if (path.ends_with("gamma")) p.value().copy_from(normals(p.value().shape(), ++seed));
  return g;
}
Graph lenet() { return network("lenet5", {1, 28, 28}); }
Graph resnet() { return network("resnet20", {3, 16, 16}); }

std::vector<Batch> batches_for(const Shape& image) {
  std::vector<Batch> batches(3);
  for (size_t b = 0; b < batches.size(); ++b) {
    batches[b].images = normals({4, image[0], image[1], image[2]}, 50 + b);
    batches[b].labels = Tensor::from<int32_t>({0, 3, 9, int32_t(b)}, {4});
  }
  return batches;
}

std::vector<int64_t> kept_of(const ChannelReport& report) {
  std::vector<int64_t> kept;
  for (const PrunedGroup& g : report.groups) kept.push_back(g.kept);
  return kept;
}

Param param(const Graph& g, const char* name) { return g.values[size_t(g.find_value(name))].param; }

}  // namespace

TEST_CASE("widths, sparsity and MACs say how many channels stay") {
  Graph g = lenet();
  const ChannelReport report = prune_channels(g, FilterNorm(1), {.widths = {9, 18, 65}});
  CHECK(kept_of(report) == std::vector<int64_t>{9, 18, 65});
  CHECK(param(g, "fc1.weight").value().shape() == Shape{65, 18 * 16});
  REQUIRE(report.whole.size() == 1);
  CHECK(report.whole[0].why.find("output") != std::string::npos);

  g = lenet();
  CHECK(kept_of(prune_channels(g, FilterNorm(1), {.sparsity = 0.4, .scope = PruneScope::local})) ==
        std::vector<int64_t>{12, 30, 300});
  for (const PruneScope scope : {PruneScope::local, PruneScope::global}) {
    g = lenet();
    int64_t total = 0;
    for (const int64_t k : kept_of(prune_channels(g, FilterNorm(1), {.scope = scope}))) total += k;
    CHECK(total == 285);

    g = resnet();
    const int64_t all = summarize(g).macs;
    prune_channels(g, GroupNorm(), {.macs = 0.5, .scope = scope});
    const double share = double(summarize(g).macs) / double(all);
    CHECK(share <= 0.5);
    CHECK(share > 0.45);
  }
}

TEST_CASE("counts are rounded to a multiple, in every layer") {
  Graph g = resnet();
  const ChannelReport report =
      prune_channels(g, GroupNorm(), {.sparsity = 0.4, .scope = PruneScope::local, .round_to = 8});
  for (const PrunedGroup& r : report.groups) CHECK(r.kept % 8 == 0);
  for (const GraphNode& node : g.nodes)
    if (std::string_view(node.op->name) == "conv2d")
      CHECK(g.values[size_t(node.inputs[1])].param.value().size(0) % 8 == 0);
  // A group with fewer channels than the multiple stays whole, and is named.
  g = lenet();
  const ChannelReport some = prune_channels(
      g, FilterNorm(1), {.sparsity = 0.5, .scope = PruneScope::local, .round_to = 32});
  // 294 of 570 go: nearer to the half than the 262 of the nearest multiple of each.
  CHECK(kept_of(some) == std::vector<int64_t>{20, 32, 224});
  CHECK(some.whole.back().name == "conv1");
  // No multiple lies below the floor, and where there is none above it the group stays whole.
  g = lenet();
  const ChannelReport floors = prune_channels(
      g, FilterNorm(1), {.sparsity = 0.3, .scope = PruneScope::local, .floor = 0.7, .round_to = 8});
  CHECK(kept_of(floors) == std::vector<int64_t>{16, 40, 352});
  CHECK(floors.whole.size() == 1);  // the output
  g = lenet();
  const ChannelReport none =
      prune_channels(g, FilterNorm(1),
                     {.sparsity = 0.3, .scope = PruneScope::local, .floor = 0.7, .round_to = 16});
  CHECK(kept_of(none) == std::vector<int64_t>{16, 48, 352});
  g = lenet();
  const ChannelReport wide =
      prune_channels(g, FilterNorm(1),
                     {.sparsity = 0.3, .scope = PruneScope::local, .floor = 0.7, .round_to = 32});
  CHECK(kept_of(wide) == std::vector<int64_t>{20, 50, 352});
  CHECK(wide.whole.back().why.find("no multiple of 32 lies above its floor") != std::string::npos);
  g = lenet();
  CHECK_THROWS_WITH_AS(prune_channels(g, FilterNorm(1), {.round_to = 512}),
                       doctest::Contains("no group has as many: conv1 20, conv2 50, fc1 500"),
                       Error);
}

TEST_CASE("no layer is emptied") {
  Graph g = lenet();
  param(g, "conv1.weight").value().fill(1e-6);  // a global threshold would take all of it
  struct Raw : FilterNorm {
    Raw() : FilterNorm(1) {}
    bool comparable() const override { return true; }
  };
  const auto kept = kept_of(prune_channels(g, Raw(), {.sparsity = 0.8, .floor = 0.1}));
  CHECK(kept[0] == 2);
  CHECK(kept[1] >= 5);
  CHECK(kept[2] >= 50);
  CHECK(g(normals({2, 1, 28, 28}, 1)).shape() == Shape{2, 10});
}

TEST_CASE("over rounds, shares and floors are of the channels before the first") {
  for (const PruneScope scope : {PruneScope::local, PruneScope::global}) {
    CAPTURE(int(scope));
    Graph once = lenet(), rounds = lenet();
    const auto wanted =
        kept_of(prune_channels(once, FilterNorm(1), {.sparsity = 0.9, .scope = scope}));
    std::vector<PrunedGroup> groups;
    for (const double sparsity : {0.5, 0.8, 0.9}) {
      add_round(groups, prune_channels(rounds, FilterNorm(1),
                                       {.sparsity = sparsity, .scope = scope, .rounds = groups}));
    }
    const std::vector<int64_t> kept{groups[0].kept, groups[1].kept, groups[2].kept};
    if (scope == PruneScope::local) CHECK(kept == wanted);  // globally, scores change with rounds
    CHECK(kept[0] + kept[1] + kept[2] == 57);
    CHECK(kept[2] >= 25);  // a twentieth of 500
    CHECK_THROWS_WITH_AS(
        prune_channels(rounds, FilterNorm(1), {.sparsity = 0.97, .rounds = groups}),
        doctest::Contains("leaves 17 of 570 channels, but 29 must stay"), Error);
  }
}

namespace {

// One layer whose first 8 channels go to one reader and whose other 16, in pairs, to another: two
// groups that start at the same layer.
struct Fork : Module {
  Dense a{6, 24}, b{8, 5};
  Conv2d c{8, 5, 1};
  Tensor forward(const Tensor& x, Mode mode) override {
    const auto parts = split(relu(a(x, mode)), 1, Ints{8, 16});
    const Tensor pairs = reshape(parts[1], Ints{x.size(0), 8, 2, 1});
    return add(b(parts[0], mode), global_avg_pool(c(pairs, mode)));
  }
  void visit(Visitor& v) override {
    v("a", a);
    v("b", b);
    v("c", c);
  }
};

}  // namespace

TEST_CASE("a group keeps its name over rounds, whatever has become of others of its layer") {
  Fork net;
  initialize(net, 1);
  Graph g = capture(net, Tensor::zeros({1, 6})).clone();
  std::vector<PrunedGroup> rounds;
  add_round(rounds, prune_channels(g, FilterNorm(1), {.widths = {1, 8}}));
  REQUIRE(rounds.size() == 2);
  CHECK(rounds[0].name == "a");
  CHECK(rounds[1].name == "a#2");
  // `a` is down to one unit, and no group any more.
  const ChannelAnalysis left = find_channel_groups(g);
  REQUIRE(left.groups.size() == 1);
  CHECK(left.groups[0].name == "a#2");
  // 16 units before all rounds (8 and 8 pairs), 5 after the first.
  const auto report = prune_channels(
      g, FilterNorm(1), {.sparsity = 0.75, .scope = PruneScope::global, .rounds = rounds});
  CHECK(report.groups.size() == 1);
  CHECK(report.groups[0].kept == 2 * 3);
  add_round(rounds, report);
  CHECK(rounds.size() == 2);
  CHECK(rounds[1].channels == 16);
  CHECK(rounds[1].kept == 6);

  // A pair that is left counts as one unit of eight.
  Graph h = capture(net, Tensor::zeros({1, 6})).clone();
  rounds.clear();
  add_round(rounds, prune_channels(h, FilterNorm(1), {.widths = {8, 2}}));
  CHECK(prune_channels(h, FilterNorm(1), {.sparsity = 0.75, .rounds = rounds}).groups[0].kept == 3);
}

TEST_CASE("prune_channels names what is wrong and leaves the network alone") {
  Graph g = lenet();
  const auto wrong = [&](const ChannelOptions& o, const char* text) {
    CHECK_THROWS_WITH_AS(prune_channels(g, FilterNorm(1), o), doctest::Contains(text), Error);
  };
  wrong({.sparsity = 1.2}, "between 0 and 1");
  wrong({.sparsity = 1}, "no layer is emptied");
  wrong({.macs = 0.0}, "above 0");
  wrong({.macs = 0.0001}, "cannot be reached");
  wrong({.widths = {161, 64}},
        "2 widths for 3 groups of channels; one each is needed for: conv1 20");
  wrong({.widths = {21, 50, 500}}, "'conv1', which has 20 channels");
  wrong({.widths = {0, 50, 500}}, "a width of 0");
  wrong({.floor = -1}, "floor");
  wrong({.round_to = 0}, "at least 1");
  wrong({.scope = PruneScope::erk}, "erk");
  wrong({.scope = PruneScope::row}, "row");
  CHECK_THROWS_WITH_AS(prune_channels(g, NormScale()), doctest::Contains("no batch norms"), Error);
  CHECK_THROWS_WITH_AS(prune_channels(g, GateTaylor()), doctest::Contains("prepare"), Error);
  CHECK_THROWS_WITH_AS(make_channel_criterion("fpmg"), doctest::Contains("fpgm"), Error);
  CHECK(parameter_count(g) == 431080);
  param(g, "conv2.weight").value().data<float>()[3] = std::nanf("");
  wrong({}, "has the score");
}

TEST_CASE("every criterion scores every group and keeps its best") {
  for (const std::string_view name : channel_criterion_names()) {
    CAPTURE(std::string(name));
    Graph g = resnet();
    const auto criterion = make_channel_criterion(std::string(name));
    const ChannelAnalysis analysis = find_channel_groups(g);
    const auto before = g(normals({2, 3, 16, 16}, 1)).to_vector<float>();
    if (criterion->needs_data()) criterion->prepare(g, analysis, batches_for({3, 16, 16}));
    CHECK(g(normals({2, 3, 16, 16}, 1)).to_vector<float>() == before);
    for (const ChannelGroup& group : analysis.groups) {
      const auto s = criterion->scores(g, group);
      REQUIRE(int64_t(s.size()) == group.units);
      CHECK(*std::max_element(s.begin(), s.end()) > 0);
    }
    prune_channels(g, *criterion, {.sparsity = 0.5});
    CHECK(parameter_count(g) < 200000);
    CHECK(g(normals({2, 3, 16, 16}, 1)).shape() == Shape{2, 10});
  }
}

TEST_CASE("a layer without inputs has channels like any other, of no worth") {
  const Param e(Tensor::zeros({6, 0})), c(normals({6}, 1)), w(normals({3, 6}, 2)),
      b(normals({3}, 3));
  struct Net : Module {
    std::vector<Param> p;
    Tensor forward(const Tensor& x, Mode) override {
      const Tensor hidden =
          dense(slice(x, {0, 2}, {slice_to_end, 2}, {1, 1}), p[0](), p[1](), true);
      return dense(hidden, p[2](), p[3]());
    }
    void visit(Visitor& v) override {
      for (size_t i = 0; i < p.size(); ++i) v("p" + std::to_string(i), p[i]);
    }
  } net;
  net.p = {e, c, w, b};
  for (const std::string_view method : channel_criterion_names()) {
    CAPTURE(method);
    Graph g = capture(net, Tensor::zeros({1, 2})).clone();
    const auto criterion = make_channel_criterion(std::string(method));
    if (method == "bn-scale") continue;
    const Batch batch{.images = normals({4, 2}, 5),
                      .labels = Tensor::from<int32_t>({0, 1, 2, 0}, {4}),
                      .indices = {}};
    if (criterion->needs_data()) criterion->prepare(g, find_channel_groups(g), {batch});
    CHECK(kept_of(prune_channels(g, *criterion, {.sparsity = 0.5})) == std::vector<int64_t>{3});
    CHECK(g(normals({2, 2}, 4), Mode::eval).shape() == Shape{2, 3});
  }
}

TEST_CASE("scores are what their formulas say") {
  // Three hidden units; the first two filters are near each other.
  Sequential net;
  net.add<Dense>("a", 2, 3).add<Dense>("b", 3, 1);
  Graph g = capture(net, Tensor::zeros({1, 2}));
  const auto set = [&](const char* name, const std::vector<float>& v) {
    param(g, name).value().copy_from(Tensor::from(v, param(g, name).value().shape()));
  };
  set("a.weight", {3, -4, 3, -3, 0, 1});
  set("a.bias", {1, 2, 3});
  set("b.weight", {2, 1, -5});
  const ChannelAnalysis analysis = find_channel_groups(g);
  REQUIRE(list_groups(analysis) == "a 3");
  const auto scores = [&](const ChannelCriterion& c) { return c.scores(g, analysis.groups[0]); };
  using V = std::vector<double>;
  const auto close = [](const V& a, const V& b) {
    REQUIRE(a.size() == b.size());
    for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]));
  };
  close(scores(FilterNorm(1)), {7, 6, 1});
  close(scores(FilterNorm(2)), {5, std::sqrt(18.0), 1});
  close(scores(GroupNorm()), {(25 + 1 + 4) / 3.0, (18 + 4 + 1) / 3.0, (1 + 9 + 25) / 3.0});
  const double ab = 1, ac = std::sqrt(9.0 + 25), bc = 5;
  close(scores(GeometricMedian()), {ab + ac, ab + bc, ac + bc});
  CHECK(scores(RandomChannels(1)) != scores(RandomChannels(2)));
}

TEST_CASE("taylor is the derivative of the loss by a gate on the channel") {
  // The gate is put there and its derivative taken by differences.
  Graph g = resnet();
  const ChannelAnalysis analysis = find_channel_groups(g);
  GateTaylor taylor;
  const auto batches = batches_for({3, 16, 16});
  taylor.prepare(g, analysis, batches);
  // A group with one norm: stage2.block2.conv1, and a channel of it.
  const auto group = std::find_if(analysis.groups.begin(), analysis.groups.end(),
                                  [](const auto& x) { return x.name == "stage2.block2.conv1"; });
  REQUIRE(group != analysis.groups.end());
  const size_t channel = 5;
  Param gamma = param(g, "stage2.block2.norm1.gamma"), beta = param(g, "stage2.block2.norm1.beta");
  const float scale = gamma.value().data<float>()[channel],
              shift = beta.value().data<float>()[channel];
  double expected = 0;
  for (const Batch& b : batches) {
    const auto loss_at = [&](double gate) {
      gamma.value().data<float>()[channel] = float(scale * gate);
      beta.value().data<float>()[channel] = float(shift * gate);
      return softmax_cross_entropy(g(b.images), b.labels).item();
    };
    expected += std::abs(loss_at(1.02) - loss_at(0.98)) / 0.04 / 3;
    loss_at(1);
  }
  CHECK(taylor.scores(g, *group)[channel] == doctest::Approx(expected).epsilon(0.05));
}

TEST_CASE("network slimming: the penalty is lambda times the norms' scales, and pulls them in") {
  Graph g = resnet();
  const LossFn plain = [](const Tensor& logits, const Batch& b) {
    return softmax_cross_entropy(logits, b.labels);
  };
  const Batch batch = batches_for({3, 16, 16})[0];
  const auto gradient = [&](const LossFn& loss) {
    for (Param& p : parameters(g)) p.clear_grad();
    Tape tape;
    const Tensor l = loss(g(batch.images, Mode::train), batch);
    const double value = l.item();
    tape.backward(l);
    return std::pair(value, param(g, "stage1.block1.norm1.gamma").grad().to_vector<float>());
  };
  const auto [loss, slope] = gradient(plain);
  const auto [penalized, pulled] = gradient(with_norm_penalty(plain, g, 0.01));
  double scales = 0;
  for (auto& [name, p] : named_parameters(g))
    if (name.ends_with("gamma"))
      for (const float v : p.value().to_vector<float>()) scales += std::abs(v);
  CHECK(penalized == doctest::Approx(loss + 0.01 * scales));
  const auto gamma = param(g, "stage1.block1.norm1.gamma").value().to_vector<float>();
  for (size_t i = 0; i < gamma.size(); ++i)
    CHECK(pulled[i] - slope[i] == doctest::Approx(gamma[i] > 0 ? 0.01 : -0.01).epsilon(1e-3));
  Graph none = lenet();
  CHECK_THROWS_AS(with_norm_penalty(plain, none, 0.01), Error);
  CHECK_THROWS_AS(with_norm_penalty(plain, g, -1), Error);
}

TEST_CASE("residual blocks go whole") {
  Graph g = resnet();
  const auto blocks = residual_blocks(g);
  // Two stages begin with a block that widens; the others have identity shortcuts.
  REQUIRE(blocks.size() == 7);
  CHECK(blocks[0].name == "stage1.block1");
  CHECK(blocks[3].name == "stage2.block2");

  // Without the block is with its branch zero.
  Graph zeroed = g.clone();
  for (const char* name : {"stage2.block2.norm2.gamma", "stage2.block2.norm2.beta"})
    param(zeroed, name).value().fill(0);
  Graph smaller = without_block(g, blocks[3]);
  smaller.verify();
  const Tensor x = normals({2, 3, 16, 16}, 4);
  CHECK(smaller(x).to_vector<float>() == zeroed(x).to_vector<float>());
  CHECK(smaller.find_value("stage2.block2.conv1.weight") < 0);
  CHECK(smaller.buffers.size() == g.buffers.size() - 4);

  // The branch that does nothing is the first to go.
  for (const char* name : {"stage3.block2.norm2.gamma", "stage3.block2.norm2.beta"})
    param(g, name).value().fill(0);
  const auto batches = batches_for({3, 16, 16});
  const auto all = prune_blocks(g, batches, 7);
  REQUIRE(all.size() == 7);
  bool found = false;
  for (const RemovedBlock& b : all) found = found || b.name == "stage3.block2";
  CHECK(found);
  CHECK(residual_blocks(g).empty());
  CHECK(g(x).shape() == Shape{2, 10});
  CHECK_THROWS_WITH_AS(prune_blocks(g, batches, 1), doctest::Contains("has 0"), Error);
  Graph none = lenet();
  CHECK(residual_blocks(none).empty());
}

TEST_CASE("a block with a ReLU behind a plain sum keeps the ReLU") {
  Sequential net;
  auto body = std::make_unique<Sequential>();
  body->add<Dense>("fc", 6, 6);
  net.add<Dense>("in", 4, 6).add<Residual>("block", std::move(body)).add<Dense>("out", 6, 3);
  initialize(net, 1);
  Graph g = capture(net, Tensor::zeros({1, 4}));
  const auto blocks = residual_blocks(g);
  REQUIRE(blocks.size() == 1);
  Graph smaller = without_block(g, blocks[0]);
  const Tensor x = normals({3, 4}, 2);
  for (const char* name : {"block.body.fc.weight", "block.body.fc.bias"})
    param(g, name).value().fill(0);
  CHECK(smaller(x).to_vector<float>() == g(x).to_vector<float>());
  CHECK(smaller.nodes.size() == 3);
}
