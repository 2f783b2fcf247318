// How a plan chooses among sparse and dense forms, by planted times.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph.h"
#include "compress/plan/dense_layers.h"
#include "compress/plan/plan.h"
#include "compress/plan/sparse_forms.h"
#include "compress/plan/whole_plan.h"
#include "compress/prune/prune.h"
#include "core/thread_pool.h"
#include "layers/zoo.h"

using namespace pare;
using namespace pare::plan;

namespace {

bool has(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

// Steps take the time of the first row whose words their kernel holds, for so many images at least;
// 100 us without one. Plans take 1 us.
struct Row {
  std::string kernel;
  double us;
  int64_t from = 1, to = INT64_MAX;
};
Timing planted(std::vector<Row> rows) {
  return {.step =
              [rows = std::move(rows)](const Step& step, const Frame& f, int64_t) {
                for (const Row& r : rows)
                  if (has(step.kernel, r.kernel) && f.images >= r.from && f.images <= r.to)
                    return r.us;
                return 100.0;
              },
          .plan = [](Plan::State&, const Tensor&, Tensor&) { return 1; }};
}
// Sparse forms are quick, and conversions free.
Timing sparse_wins() { return planted({{"single weights", 10}, {"rows of 8", 10}, {"nhwc", 0}}); }

Tensor half_zeros(const Shape& shape) {
  const Tensor w = Tensor::zeros(shape);
  for (int64_t i = 0; i < w.elements(); i += 2) w.data<float>()[i] = 1;
  return w;
}
DenseSpec dense_layer() { return {.weight = half_zeros({16, 32}), .bias = Tensor::zeros({16})}; }
ConvSpec conv_layer() {
  ConvSpec s;
  s.weight = half_zeros({8, 8, 3, 3}), s.bias = Tensor::zeros({8});
  s.x = s.y = {1, 8, 6, 6};
  s.padding = 1;
  return s;
}

Graph pruned(const char* name) {
  auto net = make_model(name, {}, 10, 3);
  Graph graph = capture(*net, Tensor::full({5, 1, 28, 28}, 0.5)).clone();
  prune(graph, Magnitude(), {.sparsity = 0.98, .scope = PruneScope::local});
  return graph;
}

}  // namespace

TEST_CASE("a dense layer takes the quickest form for each size of batch") {
  const StepPtr step = sparse_or_dense_step(
      dense_layer(), planted({{"rows of 8", 20, 1, 1}, {"4x1 blocks", 60, 24}, {"8x1", 70, 12}}));
  CAPTURE(step->kernel);
  CHECK(has(step->kernel,
            "1: rows of 8 outputs, 2-3: dense, 4-7: dense, 8-15: 8x1 blocks, "
            "16-31: 4x1 blocks, from 32: 4x1 blocks (50 % zeros"));
  CHECK(has(step->kernel, "on 1 image dense 100 us, rows of 8 outputs 20 us"));
  CHECK(step->form_for(1) == "rows of 8 outputs");
  CHECK(step->form_for(5).starts_with("dense, packed"));
  CHECK(step->form_for(64) == "4x1 blocks");
}

TEST_CASE(
    "a dense layer stays dense where sparse forms gain less than the noise, or zeros are few") {
  CHECK(sparse_or_dense_step(dense_layer(), planted({{"blocks", 98}, {"rows", 98}}))
            ->kernel.starts_with("dense"));
  CHECK(sparse_or_dense_step(dense_layer(), planted({{"4x1 blocks", 96}}))
            ->kernel.starts_with("sparse"));
  DenseSpec full = dense_layer();
  full.weight.fill(1);
  const StepPtr step = sparse_or_dense_step(full, sparse_wins());
  CHECK(step->kernel.starts_with("dense"));
  CHECK_FALSE(has(step->kernel, "zeros"));
}

TEST_CASE("conversions count in the choice of a convolution") {
  const Timing timing = planted({{"single", 80}, {"4x1", 60}, {"8x1", 70}, {"nhwc", 30}});
  const auto form = [&](const ConvPlace& place) {
    return choose_conv(conv_layer(), place, timing).form;
  };
  CHECK(form({.x_plain = true}) == cpu::SparseForm::blocks_4x1);                  // 60 against 130
  CHECK(form({}) == cpu::SparseForm::blocks_4x1);                                 // 90 against 100
  CHECK_FALSE(form({.y_nhwc = true}).has_value());                                // 120 against 100
  CHECK(form({.x_plain = true, .y_nhwc = true}) == cpu::SparseForm::blocks_4x1);  // 90 against 130
  CHECK(form({.x_plain = true, .residual_nhwc = true, .y_nhwc = true}) ==
        cpu::SparseForm::blocks_4x1);  // 120
  CHECK_FALSE(form({.residual_nhwc = true}).has_value());
  const std::string why = choose_conv(conv_layer(), {.y_nhwc = true}, timing).why;
  CAPTURE(why);
  CHECK(has(why, "dense 100 us, single weights 80 us, 4x1 blocks 60 us"));
  CHECK(has(why, "conversions 60 us"));
  const auto zeros = [&](const ConvPlace& place) {
    return choose_conv(conv_layer(), place, timing).zeros;
  };
  CHECK(zeros({}) == ZerosUse::sparse);
  CHECK(zeros({.y_nhwc = true}) == ZerosUse::conversions_cost);
  CHECK(choose_conv(conv_layer(), {}, planted({})).zeros == ZerosUse::dense_won);
}

TEST_CASE("a plan that sparse layers make slower as a whole runs dense, and says so") {
  struct Slow : Step {
    void run(const Frame&, int64_t, int64_t) const override {}
  };
  const Graph graph = pruned("lenet5");
  Timing timing = sparse_wins();
  timing.plan = [](Plan::State& plan, const Tensor& x, Tensor& y) {
    plan.run(x, y);  // sparse takes half the time, a slow step thrice
    return (plan.sparse_dense || plan.sparse_conv ? 50.0 : 100.0) +
           (plan.steps.front()->name == "slow" ? 300 : 0);
  };
  // What is slower lies between the layers, where none of their own measurements sees it.
  const auto with_slow = [&](const std::vector<SparseUse>& slow, SparseUse use) {
    StatePtr plan = build_plan(graph, use, true, timing);
    if (std::find(slow.begin(), slow.end(), use) != slow.end()) {
      plan->steps.insert(plan->steps.begin(), std::make_unique<Slow>());
      plan->steps.front()->name = "slow";
    }
    return plan;
  };
  const auto quickest = [&](const std::vector<SparseUse>& slow) {
    return quickest_plan([&](SparseUse use) { return with_slow(slow, use); }, timing);
  };
  const StatePtr sparse = quickest({});
  CHECK((sparse->sparse_conv && sparse->sparse_dense));
  CHECK(has(sparse->account, "sparse layers stay"));
  CHECK_FALSE(sparse->overruled);

  const SparseUse everywhere, dense_layers{.convolutions = false};
  const StatePtr some = quickest({everywhere});
  CHECK((!some->sparse_conv && some->sparse_dense));
  CHECK(has(some->account, "convolutions run dense"));
  CHECK(some->overruled);

  const StatePtr dense = quickest({everywhere, dense_layers});
  CHECK((!dense->sparse_conv && !dense->sparse_dense));
  CHECK(has(dense->account, "every layer runs dense"));
  CHECK(dense->overruled);
  for (const StepPtr& step : dense->steps) CHECK(step->name != "slow");

  const Tensor x = Tensor::full({5, 1, 28, 28}, 0.5);
  Tensor y, want;
  dense->run(x, y);
  build_plan(graph, dense_alone, true, timing)->run(x, want);
  CHECK(y.to_vector<float>() == want.to_vector<float>());
}

TEST_CASE("a loss on one image does not cost the gains of batches") {
  Timing timing = sparse_wins();
  double loss_at_1 = 0, loss_at_64 = 0;
  timing.plan = [&](Plan::State& plan, const Tensor& x, Tensor&) {
    double us = 100;
    for (const StepPtr& step : plan.steps) {
      if (has(step->kernel, "by batch, 1: rows") && x.size(0) == 1) us += loss_at_1;
      if (has(step->kernel, "from 32: single") && x.size(0) == 64) us += loss_at_64;
    }
    return us;
  };
  const auto mlp = [&](double at_1, double at_64) {
    loss_at_1 = at_1, loss_at_64 = at_64;
    const Graph graph = pruned("mlp");
    return quickest_plan([&](SparseUse use) { return build_plan(graph, use, true, timing); },
                         timing);
  };
  CHECK(has(mlp(0, 0)->steps.front()->kernel, "by batch, 1: rows"));
  const StatePtr batches = mlp(50, -50);
  CHECK(has(batches->steps.front()->kernel, "by batch, 1: dense"));
  CHECK(has(batches->steps.front()->kernel, "from 32: single"));
  CHECK(has(batches->account, "one image runs dense layers dense"));
  CHECK_FALSE(batches->overruled);
  CHECK_FALSE(mlp(-50, 50)->sparse_dense);
  CHECK_FALSE(mlp(50, 50)->sparse_dense);
}

TEST_CASE("a form is timed in as many parts as a plan runs it") {
  int64_t most = 0;
  Timing timing = sparse_wins();
  timing.step = [&](const Step&, const Frame& f, int64_t parts) {
    if (f.images == 1) most = std::max(most, parts);
    if (f.images >= 12) CHECK(parts == 1);
    return 1.0;
  };
  DenseSpec big = dense_layer();
  big.weight = half_zeros({512, 512}), big.bias = Tensor::zeros({512});
  for (const int workers : {1, 2}) {
    set_threads(workers);
    most = 0;
    sparse_or_dense_step(big, timing);
    CHECK(most == workers);
  }
  set_threads(0);
}

TEST_CASE("layers with zeros that run dense have a reason") {
  auto net = make_model("lenet5", {}, 10, 3);
  Graph graph = capture(*net, Tensor::full({5, 1, 28, 28}, 0.5)).clone();
  const auto weights = prunable_weights(graph);
  REQUIRE(weights.size() == 4);
  const auto zero = [&](size_t layer, double share) {
    const Tensor w = weights[layer].param.value();
    for (int64_t i = 0; i < int64_t(share * double(w.elements())); ++i) w.data<float>()[i] = 0;
  };
  const auto why = [&](const SparseLayers& layers) {
    std::string text;
    for (const DenseLayer& l : dense_layers_with_zeros(graph, layers))
      text += message("{} {} {}; ", l.node, std::lround(100 * l.zeros), l.why);
    return text;
  };
  CHECK(why({}) == "");
  zero(0, 0.2);
  zero(1, 0.5);
  zero(2, 0.9);
  const std::string conv1 = weights[0].node, conv2 = weights[1].node, fc1 = weights[2].node;
  CHECK(why({.sparse = {fc1}, .dense_won = {conv2}, .conversions_cost = {}}) ==
        conv1 + " 20 too few zeros for a sparse kernel to be tried; " + conv2 +
            " 50 measured, no sparse kernel is faster there; ");
  CHECK(why({.sparse = {fc1}, .dense_won = {}, .conversions_cost = {}, .overruled = true}) ==
        conv1 + " 20 too few zeros for a sparse kernel to be tried; " + conv2 +
            " 50 measured, the plan as a whole is faster so; ");
  CHECK(why({.sparse = {fc1, conv1}, .dense_won = {}, .conversions_cost = {}}) ==
        conv2 + " 50 no sparse kernel takes its input or weight; ");
  CHECK(why({.sparse = {fc1, conv1}, .dense_won = {}, .conversions_cost = {conv2}})
            .find("not with the conversions of layout") != std::string::npos);

  const SparseLayers none = compile(graph, {.sparse = false}).sparse_layers();
  CHECK((none.sparse.empty() && none.dense_won.empty() && !none.overruled));
  const auto layers_by = [&](const Timing& timing) {
    return compile(graph, {.timing = &timing}).sparse_layers();
  };
  const SparseLayers quick = layers_by(sparse_wins()), slow = layers_by(planted({}));
  CHECK((quick.sparse == std::vector{conv2, fc1} && quick.dense_won.empty()));
  CHECK((slow.sparse.empty() && slow.dense_won == std::vector{conv2, fc1}));
  CHECK(sparse_or_dense_step(dense_layer(), sparse_wins())->zeros == ZerosUse::sparse);
  CHECK(sparse_or_dense_step(dense_layer(), planted({}))->zeros == ZerosUse::dense_won);
}

TEST_CASE("a plan whose trial an op refuses keeps what its layers chose") {
  struct Picky : Step {
    void run(const Frame& f, int64_t, int64_t) const override {
      check(f.images == 1, "one image at a time");
    }
  };
  const Graph graph = pruned("mlp");
  Timing timing = sparse_wins();
  timing.plan = time_plan;
  const StatePtr plan = quickest_plan(
      [&](SparseUse use) {
        StatePtr p = build_plan(graph, use, true, timing);
        p->steps.push_back(std::make_unique<Picky>());
        return p;
      },
      timing);
  CHECK(plan->sparse_dense);
  CHECK(has(plan->account, "one image at a time"));
}
