// Rewinding, fresh weights, criteria for untrained networks, statistics of batch norms, and the
// scan of sensitivity.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <numeric>

#include "autograd/ops.h"
#include "compress/batch_norm.h"
#include "compress/prune/at_init.h"
#include "compress/prune/data_criteria.h"
#include "compress/prune/lottery.h"
#include "compress/prune/sensitivity.h"
#include "compress/prune/structured/channel_groups.h"
#include "optim/interrupt.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;
namespace fs = std::filesystem;

namespace {

TrainOptions options(const std::string& out = {}) {
  TrainOptions o;
  o.epochs = 2;
  o.batch = 32;
  o.optimizer = {.name = "adamw", .rate = 0.01};
  o.out = out;
  o.quiet = true;
  return o;
}

Graph norm_graph(uint64_t seed = 1) {
  Sequential net;
  net.add<Conv2d>("conv", 1, 4, 3).add<BatchNorm2d>("norm", 4, true);
  net.add<Flatten>("flatten").add<Dense>("fc", 4 * 14 * 14, 4);
  initialize(net, seed, 2);
  return capture(net, Tensor::zeros({1, 1, 16, 16}));
}

std::vector<Batch> quarter_batches(int64_t count) {
  Loader loader(quarters().train, quarters().preprocessing, {.batch = 16, .augment = {}});
  std::vector<Batch> batches(size_t(count), Batch{});
  for (Batch& b : batches) REQUIRE(loader.next(b));
  return batches;
}

}  // namespace

TEST_CASE("a ticket goes back to the weights of its step, zeros stay, the optimizer forgets") {
  const fs::path folder = fs::temp_directory_path() / ("pare ticket " + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string out = (folder / "m.pare").string();
  for (const int64_t k : {0, 5}) {
    CAPTURE(k);
    Graph g = quarters_graph();
    std::vector<float> at_step;
    auto remember = std::make_shared<RememberStep>(k);
    Trainer trainer(g, quarters(), options());
    trainer.on_step([&](int64_t step, int64_t) {
      if (step == k) at_step = values_of(g);
    });
    trainer.add(remember);
    trainer.run();
    CHECK(values_of(remember->graph()) == at_step);
    prune(g, Magnitude(), {.sparsity = 0.7});
    rewind(g, remember->graph());
    const auto rewound = values_of(g);
    size_t i = 0;
    for (auto& [name, p] : named_parameters(g)) {
      const auto mask = p.state().mask.defined()
                            ? p.state().mask.to_vector<uint8_t>()
                            : std::vector<uint8_t>(size_t(p.value().elements()), 1);
      for (const uint8_t keep : mask) {
        CHECK(rewound[i] == (keep ? at_step[i] : 0));
        ++i;
      }
      CHECK(p.state().slots.empty());
      CHECK(p.state().steps == 0);
    }
    // The copy travels with the checkpoint.
    {
      const InterruptScope scope;
      Graph h = quarters_graph();
      Trainer stopped(h, quarters(), options(out));
      stopped.on_step([](int64_t step, int64_t) {
        if (step == 9) std::raise(SIGINT);
      });
      stopped.add(std::make_shared<RememberStep>(k));
      CHECK(stopped.run().interrupted);
    }
    const InterruptScope scope;
    Checkpoint c = load_checkpoint(out + ".ckpt");
    auto again = std::make_shared<RememberStep>(k);
    Trainer resumed(c, quarters());
    resumed.add(again);
    CHECK(values_of(again->graph()) == at_step);
  }
  fs::remove_all(folder);
  CHECK_THROWS_WITH_AS(RememberStep(3).graph(), doctest::Contains("step 3"), Error);
  Graph small = quarters_graph(), other = norm_graph();
  CHECK_THROWS_WITH_AS(rewind(small, other), doctest::Contains("differ"), Error);
  // Of another width: nothing has changed when the error comes.
  const auto dense = [](int64_t width, uint64_t seed) {
    Sequential net;
    net.add<Dense>("a", 4, 6).add<Dense>("b", 6, width);
    initialize(net, seed);
    return capture(net, Tensor::zeros({1, 4}));
  };
  Graph here = dense(3, 1), there = dense(5, 2);
  const auto kept = values_of(here);
  CHECK_THROWS_WITH_AS(rewind(here, there),
                       doctest::Contains("'b.weight' is 3x6 here and 5x6 there"), Error);
  CHECK(values_of(here) == kept);
  Trainer short_run(small, quarters(), options());
  short_run.add(std::make_shared<RememberStep>(1000));
  CHECK_THROWS_WITH_AS(short_run.run(), doctest::Contains("step 1000"), Error);
}

TEST_CASE("fresh weights are those of a new network, under the same mask") {
  Graph g = norm_graph(1), fresh = norm_graph(9);
  Trainer(g, quarters(), options()).run();
  reinitialize(g, 9, 2);
  CHECK(values_of(g) == values_of(fresh));
  for (size_t i = 0; i < g.buffers.size(); ++i)
    CHECK(g.buffers[i].buffer.value().to_vector<float>() ==
          fresh.buffers[i].buffer.value().to_vector<float>());
  prune(g, Magnitude(), {.sparsity = 0.5});
  const double sparsity = sparsity_of(g);
  reinitialize(g, 4, 2);
  CHECK(sparsity_of(g) == sparsity);
  for (const auto& w : prunable_weights(g)) {
    const auto values = w.param.value().to_vector<float>();
    const auto mask = w.param.state().mask.to_vector<uint8_t>();
    for (size_t i = 0; i < values.size(); ++i) CHECK((values[i] != 0) == (mask[i] != 0));
  }
}

TEST_CASE("synflow conserves its flow between layers and never cuts one through") {
  Graph g = quarters_graph();
  SynFlow flow;
  flow.prepare(g, {});
  const auto weights = prunable_weights(g);
  std::vector<double> sums;
  for (const auto& w : weights) {
    double sum = 0;
    for (const float s : flow.scores(w).to_vector<float>()) sum += double(s);
    sums.push_back(sum);
  }
  // Tanaka et al. 2020, theorem 1; biases are zero here.
  CHECK(sums[0] == doctest::Approx(sums[1]).epsilon(1e-4));
  const auto layers =
      prune_in_rounds(g, flow, {.sparsity = 0.98, .scope = PruneScope::global}, flow.rounds(), {});
  for (const PrunedLayer& l : layers) CHECK(l.kept > 1);
  // Some path is left: the output still depends on the input.
  const auto y = g.run(Tensor::full({1, 1, 16, 16}, 1))[0].to_vector<float>();
  const auto z = g.run(Tensor::full({1, 1, 16, 16}, -1))[0].to_vector<float>();
  CHECK(y != z);
}

TEST_CASE(
    "synflow's theorem holds through batch norms that subtract nothing, and no layer is cut") {
  const auto sums_of = [](Graph& g) {
    SynFlow flow;
    flow.prepare(g, {});
    std::vector<double> sums;
    for (const auto& w : prunable_weights(g)) {
      const auto s = flow.scores(w).to_vector<double>();
      sums.push_back(std::accumulate(s.begin(), s.end(), 0.0));
    }
    return sums;
  };
  Graph g = norm_graph();
  const auto even = sums_of(g);
  CHECK(even[0] == doctest::Approx(even[1]).epsilon(1e-4));
  // What a running mean takes away is flow of the layer before it alone.
  g.buffers[0].buffer.value().fill(0.05);
  const auto uneven = sums_of(g);
  CHECK(uneven[0] > 1.01 * uneven[1]);
  SynFlow flow;
  const auto layers =
      prune_in_rounds(g, flow, {.sparsity = 0.98, .scope = PruneScope::global}, flow.rounds(), {});
  for (const PrunedLayer& l : layers) CHECK(l.kept > 1);
  const auto y = g.run(Tensor::full({1, 1, 16, 16}, 1))[0].to_vector<float>();
  CHECK(y != g.run(Tensor::full({1, 1, 16, 16}, -1))[0].to_vector<float>());
}

TEST_CASE("grasp is w H g, on a network done by hand") {
  // One weight per class and one input: with p = softmax(x w / T), the gradient of class c is
  // x (p_c - [y = c]) / T and the Hessian x^2 p_0 p_1 / T^2 (1, -1; -1, 1).
  Dense layer(1, 2);
  layer.weight.value().copy_from(Tensor::from(std::vector<float>{0.5f, -0.25f}, {2, 1}));
  Graph g = capture(layer, Tensor::zeros({1, 1}));
  std::vector<Batch> batches(1);
  batches[0].images = Tensor::from(std::vector<float>{3}, {1, 1});
  batches[0].labels = Tensor::from(std::vector<int32_t>{0}, {1});
  Grasp grasp;
  grasp.prepare(g, batches);
  const auto s = grasp.scores(prunable_weights(g)[0]).to_vector<float>();
  const double x = 3, t = 200, p = 1 / (1 + std::exp(-0.75 * x / t));
  const double g0 = x * (p - 1) / t, g1 = -g0;
  const double h = x * x * p * (1 - p) / (t * t);
  // As ratios: they are far below the absolute tolerance of a comparison.
  CHECK(double(s[0]) / (0.5 * h * (g0 - g1)) == doctest::Approx(1).epsilon(1e-4));
  CHECK(double(s[1]) / (-0.25 * h * (g1 - g0)) == doctest::Approx(1).epsilon(1e-4));
}

TEST_CASE("grasp sees of a masked network what is left of it") {
  // Two inputs, one of them cut off, are as one.
  Dense layer(2, 2), narrow(1, 2);
  layer.weight.value().copy_from(Tensor::from(std::vector<float>{0.5f, 2, -0.25f, 3}, {2, 2}));
  narrow.weight.value().copy_from(Tensor::from(std::vector<float>{0.5f, -0.25f}, {2, 1}));
  layer.weight.set_mask(Tensor::from(std::vector<uint8_t>{1, 0, 1, 0}, {2, 2}));
  std::vector<Batch> two(1), one(1);
  two[0].images = Tensor::from(std::vector<float>{3, 7}, {1, 2});
  one[0].images = Tensor::from(std::vector<float>{3}, {1, 1});
  one[0].labels = two[0].labels = Tensor::from(std::vector<int32_t>{0}, {1});
  const auto scores = [](Graph g, const std::vector<Batch>& batches) {
    Grasp grasp;
    grasp.prepare(g, batches);
    return grasp.scores(prunable_weights(g)[0]).to_vector<float>();
  };
  const auto masked = scores(capture(layer, Tensor::zeros({1, 2})), two);
  const auto whole = scores(capture(narrow, Tensor::zeros({1, 1})), one);
  // As ratios: they are far below the absolute tolerance of a comparison.
  CHECK(double(masked[0]) / double(whole[0]) == doctest::Approx(1).epsilon(1e-4));
  CHECK(double(masked[2]) / double(whole[1]) == doctest::Approx(1).epsilon(1e-4));
}

TEST_CASE("criteria for untrained networks leave them as they are") {
  for (const char* name : {"grasp", "synflow"}) {
    CAPTURE(name);
    Graph g = norm_graph();
    const auto before = values_of(g);
    const auto criterion = make_criterion(name);
    criterion->prepare(g, quarter_batches(2));
    CHECK(values_of(g) == before);
    CHECK(prune(g, *criterion, {.sparsity = 0.8, .scope = PruneScope::global}).size() == 2);
  }
}

TEST_CASE("running statistics are the plain average over batches, and weights stay") {
  Graph g = norm_graph();
  Trainer(g, quarters(), options()).run();
  const auto before = values_of(g);
  const std::vector<Batch> batches = [] {
    Loader loader(hold_out(quarters().train, 0.1).train, quarters().preprocessing,
                  {.batch = 16, .seed = 1, .augment = {}, .drop_last = true});
    std::vector<Batch> all(5);
    for (Batch& b : all) REQUIRE(loader.next(b));
    return all;
  }();
  CHECK(reestimate_batch_norm(g, quarters(), {.batches = 5, .batch = 16}) == 1);
  CHECK(values_of(g) == before);
  // The convolution's output, averaged here.
  Graph conv = g.clone();
  conv.outputs = {conv.nodes[0].outputs[0]};
  conv.changed();
  std::vector<double> mean(4), variance(4);
  for (const Batch& b : batches) {
    const Tensor y = conv.run(b.images)[0].plain();
    const auto v = y.to_vector<double>();
    const size_t pixels = 14 * 14, n = 16 * pixels;
    for (size_t c = 0; c < 4; ++c) {
      double sum = 0, squares = 0;
      for (size_t i = 0; i < 16; ++i)
        for (size_t j = 0; j < pixels; ++j) sum += v[(i * 4 + c) * pixels + j];
      for (size_t i = 0; i < 16; ++i)
        for (size_t j = 0; j < pixels; ++j)
          squares += std::pow(v[(i * 4 + c) * pixels + j] - sum / double(n), 2);
      mean[c] += sum / double(n) / 5;
      variance[c] += squares / double(n - 1) / 5;
    }
  }
  const auto m = g.buffers[0].buffer.value().to_vector<double>(),
             s = g.buffers[1].buffer.value().to_vector<double>();
  for (size_t c = 0; c < 4; ++c) {
    CHECK(m[c] == doctest::Approx(mean[c]).epsilon(1e-4));
    CHECK(s[c] == doctest::Approx(variance[c]).epsilon(1e-4));
  }
  Graph without = quarters_graph();
  CHECK(reestimate_batch_norm(without, quarters()) == 0);
}

namespace {

// (x - mean) scale + shift per channel, a user's norm, and x gain, which is none.
const Op& centre_op() {
  static const Op& op = register_op(
      {.name = "test_centre",
       .inputs = {3, 3},
       .buffers = {2, 2},
       .attributes = {{{"momentum", Attrs::Kind::real}}},
       .infer = [](Call& c) { c.output(c.x().shape()); },
       .forward =
           [](Call& c) {
             const int64_t n = c.x().size(0), channels = c.x().size(1);
             const float* x = c.x().data<float>();
             float* running = c.buffers[0]->value().data<float>();
             for (int64_t k = 0; k < channels; ++k) {
               float mean = 0;
               for (int64_t i = 0; i < n; ++i) mean += x[i * channels + k] / float(n);
               const auto momentum = float(c.attrs->real("momentum"));
               if (c.mode == Mode::train) running[k] += momentum * (mean - running[k]);
               for (int64_t i = 0; i < n; ++i)
                 c.outputs[0].data<float>()[i * channels + k] =
                     (x[i * channels + k] - (c.mode == Mode::train ? mean : running[k])) *
                         c.x(1).data<float>()[k] +
                     c.x(2).data<float>()[k];
             }
           },
       .coupling = Coupling::per_channel});
  return op;
}
const Op& slope_op() {
  static const Op& op = register_op({.name = "test_slope",
                                     .infer = [](Call& c) { c.output(c.x().shape()); },
                                     .forward = [](Call& c) { c.outputs[0].copy_from(c.x()); },
                                     .coupling = Coupling::per_channel});
  return op;
}

struct Centred : Module {
  Dense a{256, 6}, b{6, 4};
  Param scale{Tensor::full({6}, 1), false}, shift{Tensor::zeros({6}), false},
      slope{Tensor::full({6}, 0.25), false};
  Buffer mean{Tensor::zeros({6})}, variance{Tensor::full({6}, 1)};
  Tensor forward(const Tensor& x, Mode mode) override {
    const Tensor h = a(flatten(x), mode), gamma = scale(), beta = shift();
    Buffer* const buffers[] = {&mean, &variance};
    const Tensor y = apply(centre_op(), {&h, &gamma, &beta}, Attrs().set("momentum", 0.1),
                           {.buffers = buffers, .mode = mode});
    const Tensor w = slope();
    return b(apply(slope_op(), {&y, &w}), mode);
  }
  void visit(Visitor& v) override {
    v("a", a);
    v("norm.gamma", scale);
    v("norm.beta", shift);
    v("norm.mean", mean);
    v("norm.variance", variance);
    v("slope", slope);
    v("b", b);
  }
};

}  // namespace

TEST_CASE("a user's norm is estimated again, made fresh and slimmed like batch norm") {
  Centred net;
  initialize(net, 1, 2);
  Graph g = capture(net, Tensor::zeros({1, 1, 16, 16}));
  const auto buffer = [&](const char* name) {
    for (const GraphBuffer& b : g.buffers)
      if (b.name == name) return b.buffer.value();
    FAIL("no buffer");
    return Tensor();
  };
  const Tensor mean = buffer("norm.mean");
  mean.fill(100);
  CHECK(reestimate_batch_norm(g, quarters(), {.batches = 5, .batch = 16}) == 1);
  for (const double m : mean.to_vector<double>()) CHECK(std::abs(m) < 10);

  // Roles: the norm has a scale and a shift, the slope is neither.
  for (const ChannelGroup& group : find_channel_groups(g).groups)
    for (const ChannelAxis& axis : group.axes) {
      if (axis.value < 0) continue;
      const std::string& name = g.values[size_t(axis.value)].name;
      CHECK((axis.role == ChannelRole::scale) == (name == "norm.gamma"));
      CHECK((axis.role == ChannelRole::shift) == (name == "norm.beta"));
    }

  net.scale.value().fill(3);
  net.shift.value().fill(5);
  net.a.bias.value().fill(7);
  buffer("norm.variance").fill(8);
  reinitialize(g, 2, 2);
  const auto all = [](const Tensor& t, double value) {
    for (const double v : t.to_vector<double>())
      if (v != value) return false;
    return true;
  };
  CHECK(all(net.scale.value(), 1));
  CHECK(all(net.shift.value(), 0));
  CHECK(all(net.a.bias.value(), 0));
  CHECK(all(net.slope.value(), 0.25));  // nothing says what a new one has
  CHECK(all(mean, 0));
  CHECK(all(buffer("norm.variance"), 1));
}

TEST_CASE("a sensitivity scan prunes one layer at a time and leaves the network alone") {
  Graph g = quarters_graph();
  Trainer(g, quarters(), options()).run();
  const auto before = values_of(g);
  int64_t calls = 0, last = 0;
  SensitivityOptions o{.sparsities = {0, 0.9, 1}};
  o.progress = [&](int64_t done, int64_t of) {
    ++calls;
    CHECK(of == 7);
    last = done;
  };
  const Sensitivity scan =
      scan_sensitivity(g, Magnitude(), quarters().test, quarters().preprocessing, o);
  CHECK(calls == 7);
  CHECK(last == 7);
  CHECK(values_of(g) == before);
  CHECK(scan.examples == 200);
  REQUIRE(scan.layers.size() == 2);
  CHECK(scan.layers[0].elements == 256 * 24);
  for (const LayerSensitivity& l : scan.layers) {
    CHECK(l.accuracy[0] == scan.accuracy);  // nothing pruned
    CHECK(l.accuracy[2] < scan.accuracy);   // one weight left
    CHECK(l.achieved[1] == doctest::Approx(0.9).epsilon(0.01));
    CHECK(l.achieved[2] == 1 - 1 / double(l.elements));
    CHECK(tolerated_sparsity(scan, l, 1) == l.achieved[2]);
    CHECK(tolerated_sparsity(scan, l, 0) < 1);
  }
  // The same by hand for one layer.
  Graph h = g.clone();
  prune(h, Magnitude(), {.sparsity = 0.9, .filter = [](const PrunableWeight& w) {
                           return w.name.starts_with("fc2");
                         }});
  CHECK(scan.layers[1].accuracy[1] ==
        evaluate(h, quarters().test, quarters().preprocessing).accuracy);
  // Wanda compares within outputs.
  Wanda wanda;
  wanda.prepare(g, quarter_batches(2));
  Graph k = g.clone();
  prune(k, wanda,
        {.sparsity = 0.9, .scope = PruneScope::row, .filter = [](const PrunableWeight& w) {
           return w.name.starts_with("fc1");
         }});
  CHECK(scan_sensitivity(g, wanda, quarters().test, quarters().preprocessing, {.sparsities = {0.9}})
            .layers[0]
            .loss[0] == evaluate(k, quarters().test, quarters().preprocessing).loss);
  const Sensitivity two =
      scan_sensitivity(g, Magnitude(), quarters().test, quarters().preprocessing,
                       {.structure = parse_structure("1:4")});
  CHECK(two.sparsities == std::vector<double>{0.75});
  CHECK_THROWS_AS(scan_sensitivity(g, Magnitude(), quarters().test, quarters().preprocessing,
                                   {.sparsities = {1.2}}),
                  Error);
}
