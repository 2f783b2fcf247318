// Pruning while training: ramps, gradual pruning, RigL. The runs can be stopped anywhere and do not
// depend on the number of threads.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <functional>

#include "compress/prune/gradual.h"
#include "compress/prune/rigl.h"
#include "core/thread_pool.h"
#include "optim/interrupt.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;
namespace fs = std::filesystem;

namespace {

constexpr int64_t steps = 27;  // three epochs of nine batches

TrainOptions options(const std::string& out = {}) {
  TrainOptions o;
  o.epochs = 3;
  o.batch = 32;
  o.optimizer = {.name = "adamw", .rate = 0.01, .weight_decay = 0.01};
  o.out = out;
  o.quiet = true;
  return o;
}

std::vector<uint8_t> masks_of(const Graph& g) {
  std::vector<uint8_t> all;
  for (const auto& w : prunable_weights(g))
    if (w.param.state().mask.defined())
      for (const uint8_t m : w.param.state().mask.to_vector<uint8_t>()) all.push_back(m);
  return all;
}

SparsityRamp ramp() { return {.final = 0.8, .begin = 2, .end = 16, .every = 3}; }

std::shared_ptr<TrainHook> gradual() {
  static Magnitude magnitude;
  return std::make_shared<GradualPruning>(magnitude, PruneOptions{.scope = PruneScope::global},
                                          ramp());
}

Graph sparse_graph() {
  Graph g = quarters_graph();
  prune(g, RandomScores(5), {.sparsity = 0.8, .scope = PruneScope::erk});
  return g;
}
std::shared_ptr<TrainHook> rigl() {
  return std::make_shared<RigL>(RigLOptions{.fraction = 0.5, .every = 4, .end = 0.75});
}

struct Way {
  const char* name;
  std::function<Graph()> graph;
  std::function<std::shared_ptr<TrainHook>()> hook;
};
const Way ways[] = {{"gradual", [] { return quarters_graph(); }, gradual},
                    {"rigl", sparse_graph, rigl}};

Graph trained(const Way& way) {
  Graph g = way.graph();
  Trainer trainer(g, quarters(), options());
  trainer.add(way.hook());
  trainer.run();
  return g;
}

// Does something at one step, before the hooks that are added later.
struct At : TrainHook {
  std::function<void(const TrainMoment&)> before, after;
  void before_step(const TrainMoment& now) override {
    if (before) before(now);
  }
  void after_update(const TrainMoment& now) override {
    if (after) after(now);
  }
};

}  // namespace

TEST_CASE("ramps start and end exactly, never fall, and are their formulas half way") {
  const struct {
    RampKind kind;
    double half;  // from 0.2 to 0.9
  } cases[] = {{RampKind::cubic, 0.9 - 0.7 / 8},
               {RampKind::linear, 0.55},
               {RampKind::cosine, 0.55},
               {RampKind::exponential, 1 - std::sqrt(0.8 * 0.1)}};
  for (const auto& c : cases) {
    CAPTURE(to_string(c.kind));
    const SparsityRamp r{.kind = c.kind, .initial = 0.2, .final = 0.9, .begin = 100, .end = 500};
    CHECK(r.at(0) == doctest::Approx(0.2));
    CHECK(r.at(100) == doctest::Approx(0.2));
    CHECK(r.at(300) == doctest::Approx(c.half));
    CHECK(r.at(500) == 0.9);
    CHECK(r.at(9999) == 0.9);
    for (int64_t t = 1; t < 600; ++t) CHECK(r.at(t) >= r.at(t - 1));
    CHECK(parse_ramp(to_string(c.kind)) == c.kind);
  }
  const SparsityRamp r{.begin = 10, .end = 35, .every = 10};
  std::vector<int64_t> updates;
  for (int64_t t = 0; t < 100; ++t)
    if (r.updates(t)) updates.push_back(t);
  CHECK(updates == std::vector<int64_t>{10, 20, 30, 35});
  CHECK_THROWS_WITH_AS(parse_ramp("cubik"), doctest::Contains("cubic"), Error);
  CHECK_THROWS_WITH_AS(r.check_fits(35), doctest::Contains("end < steps"), Error);
  CHECK_THROWS_AS((SparsityRamp{.initial = 0.5, .final = 0.4, .end = 5}.check_fits(9)), Error);
  CHECK_THROWS_AS((SparsityRamp{.final = 1, .end = 5}.check_fits(9)), Error);
  CHECK_THROWS_AS((SparsityRamp{.end = 5, .every = 0}.check_fits(9)), Error);
}

TEST_CASE("gradual pruning follows its ramp, masks only grow, and only sparse epochs are kept") {
  Graph g = quarters_graph();
  Trainer trainer(g, quarters(), options());
  trainer.add(gradual());
  auto watch = std::make_shared<At>();
  std::vector<uint8_t> before;
  watch->after = [&](const TrainMoment& now) {
    int64_t last = -1;  // the last update so far
    for (int64_t t = 0; t <= now.step; ++t)
      if (ramp().updates(t)) last = t;
    const double expected = last < 0 ? 0 : ramp().at(last);
    CHECK(std::fabs(sparsity_of(g) - expected) < 1e-3);
    const auto masks = masks_of(g);
    for (size_t i = 0; i < before.size(); ++i) CHECK(masks[i] <= before[i]);
    before = masks;
  };
  trainer.add(watch);
  const TrainReport report = trainer.run();
  CHECK(report.best_epoch >= 2);  // the ramp ends in the second of three
  CHECK(report.epochs[0].sparsity < 0.8);
  CHECK(std::fabs(report.epochs[2].sparsity - 0.8) < 1e-3);
  CHECK(std::fabs(sparsity_of(g) - 0.8) < 1e-3);
  CHECK(evaluate(g, quarters().test, quarters().preprocessing).accuracy > 0.9);
}

TEST_CASE("an epoch before the last sparsity is not kept even where it is the best") {
  Graph g = quarters_graph();
  TrainOptions o = options();
  Trainer trainer(g, quarters(), o);
  static Magnitude magnitude;
  trainer.add(std::make_shared<GradualPruning>(
      magnitude, PruneOptions{.scope = PruneScope::global},
      SparsityRamp{.final = 0.99, .begin = 20, .end = 22, .every = 1}));
  const TrainReport report = trainer.run();
  CHECK(report.epochs[1].val_accuracy > report.epochs[2].val_accuracy);
  CHECK(report.best_epoch == 3);
  CHECK(sparsity_of(g) > 0.98);
}

TEST_CASE("a run that prunes while it trains can be stopped anywhere and has the same bits") {
  const fs::path folder =
      fs::temp_directory_path() / ("pare gradual " + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string out = (folder / "m.pare").string();
  for (const Way& way : ways) {
    CAPTURE(way.name);
    Graph whole = trained(way);
    for (const int64_t stop : {1, 8, 12, 15, 16, 24}) {
      CAPTURE(stop);
      {
        const InterruptScope scope;
        Graph g = way.graph();
        Trainer trainer(g, quarters(), options(out));
        auto at = std::make_shared<At>();
        at->before = [&](const TrainMoment& now) {
          if (now.step == stop) std::raise(SIGINT);
        };
        trainer.add(at);
        trainer.add(way.hook());
        CHECK(trainer.run().interrupted);
      }
      const InterruptScope scope;
      Checkpoint c = load_checkpoint(out + ".ckpt");
      c.options.quiet = true;
      Trainer trainer(c, quarters());
      trainer.add(way.hook());
      trainer.run();
      CHECK(values_of(c.graph) == values_of(whole));
      CHECK(masks_of(c.graph) == masks_of(whole));
    }
  }
  fs::remove_all(folder);
}

TEST_CASE("pruning while training does not depend on the number of threads") {
  for (const Way& way : ways) {
    CAPTURE(way.name);
    set_threads(1);
    Graph one = trained(way);
    for (const int threads : {2, 5}) {
      set_threads(threads);
      Graph many = trained(way);
      CHECK(values_of(many) == values_of(one));
    }
    set_threads(0);
  }
}

TEST_CASE("rigl drops the smallest, grows the steepest, from zero, and keeps counts") {
  Graph g = sparse_graph();
  Param first = prunable_weights(g)[0].param;
  struct State {
    std::vector<uint8_t> mask;
    std::vector<float> weights, slopes;
  } before, after;
  const auto count = [](const State& s) { return std::count(s.mask.begin(), s.mask.end(), 1); };
  const auto look = [&](State& s) {
    s.mask = first.state().mask.to_vector<uint8_t>();
    s.weights = first.value().to_vector<float>();
  };
  // What the mask should be after `step`, from sorted lists.
  const auto expected = [&](int64_t step) {
    const auto& [mask, weights, slopes] = before;
    std::vector<size_t> active, idle;
    for (size_t i = 0; i < mask.size(); ++i)
      if (mask[i]) active.push_back(i);
    const auto n =
        size_t(0.5 / 2 * (1 + std::cos(std::acos(-1) * double(step) / 20)) * double(active.size()));
    std::sort(active.begin(), active.end(),
              [&](size_t a, size_t b) { return std::fabs(weights[a]) < std::fabs(weights[b]); });
    std::vector<uint8_t> moved = mask;
    for (size_t k = 0; k < n; ++k) moved[active[k]] = 0;
    for (size_t i = 0; i < mask.size(); ++i)
      if (!moved[i]) idle.push_back(i);
    std::sort(idle.begin(), idle.end(),
              [&](size_t a, size_t b) { return std::fabs(slopes[a]) > std::fabs(slopes[b]); });
    for (size_t k = 0; k < n; ++k) moved[idle[k]] = 1;
    return moved;
  };
  struct Watch : TrainHook {
    std::function<void()> step, update;
    std::function<void(int64_t)> done;
    void before_step(const TrainMoment&) override { step(); }
    void before_update(const TrainMoment&) override { update(); }
    void after_update(const TrainMoment& now) override { done(now.step); }
  };
  int64_t moves = 0;
  auto watch = std::make_shared<Watch>();
  watch->step = [&] { look(before); };
  watch->update = [&] { before.slopes = first.grad().to_vector<float>(); };
  watch->done = [&](int64_t step) {
    look(after);
    CHECK(first.state().mask_kind == MaskKind::frozen);
    CHECK(count(after) == count(before));
    for (size_t i = 0; i < after.mask.size(); ++i)
      if (!after.mask[i]) CHECK(after.weights[i] == 0);
    if (step == 0 || step >= 20 || step % 4 != 0) {
      CHECK(after.mask == before.mask);
      return;
    }
    ++moves;
    CHECK(after.mask != before.mask);
    CHECK(after.mask == expected(step));
    for (size_t i = 0; i < after.mask.size(); ++i)  // such a step moves no weight
      if (after.mask[i]) CHECK(after.weights[i] == (before.mask[i] ? before.weights[i] : 0));
  };
  Trainer trainer(g, quarters(), options());
  trainer.add(watch);
  trainer.add(rigl());
  trainer.run();
  CHECK(moves == 4);
}

TEST_CASE(
    "gradual pruning in blocks, of a network with masks of single weights, only adds to them") {
  Graph g = quarters_graph();
  prune(g, RandomScores(5), {.sparsity = 0.5});
  Trainer trainer(g, quarters(), options());
  static Magnitude magnitude;
  trainer.add(std::make_shared<GradualPruning>(
      magnitude, PruneOptions{.structure = parse_structure("4x1")},
      SparsityRamp{.initial = 0.5, .final = 0.8, .begin = 2, .end = 16, .every = 3}));
  auto watch = std::make_shared<At>();
  std::vector<uint8_t> before = masks_of(g);
  watch->after = [&](const TrainMoment&) {
    const auto masks = masks_of(g);
    int64_t back = 0;
    for (size_t i = 0; i < masks.size(); ++i) back += masks[i] > before[i];
    CHECK(back == 0);
    before = masks;
  };
  trainer.add(watch);
  trainer.run();
  CHECK(sparsity_of(g) >= 0.8);
}

TEST_CASE("rigl tells a gradient that is not finite, and moves nothing by it") {
  for (const float bad : {std::nanf(""), INFINITY}) {
    Graph g = sparse_graph();
    Trainer trainer(g, quarters(), options());
    struct Spoil : TrainHook {
      float value = 0;
      std::vector<uint8_t> masks;
      std::vector<float> values;
      void before_update(const TrainMoment& now) override {
        if (now.step != 4) return;
        masks = masks_of(now.graph);
        values = values_of(now.graph);
        prunable_weights(now.graph)[1].param.grad().data<float>()[3] = value;
      }
    };
    auto spoil = std::make_shared<Spoil>();
    spoil->value = bad;
    trainer.add(spoil);
    trainer.add(rigl());
    try {
      trainer.run();
      FAIL("it went on");
    } catch (const Error& e) {
      CHECK(e.code() == ErrorCode::diverged);
      CHECK(std::string(e.what()).find("fc2") != std::string::npos);
    }
    CHECK(masks_of(g) == spoil->masks);
    CHECK(values_of(g) == spoil->values);
    for (const auto& w : prunable_weights(g)) CHECK(w.param.state().mask_kind == MaskKind::frozen);
  }
}

TEST_CASE("rigl and gradual pruning name what is wrong") {
  CHECK_THROWS_WITH_AS(RigL({.every = 1}), doctest::Contains("at least 2 steps"), Error);
  Graph cut = sparse_graph();
  Trainer blocks(cut, quarters(), options());
  blocks.add(std::make_shared<RigL>(RigLOptions{.structure = parse_structure("4x1")}));
  CHECK_THROWS_WITH_AS(blocks.run(), doctest::Contains("cuts through 4x1 blocks"), Error);
  CHECK_THROWS_WITH_AS(RigL({.fraction = 0}), doctest::Contains("fraction"), Error);
  CHECK_THROWS_WITH_AS(RigL({.structure = parse_structure("2:4")}), doctest::Contains("2:4"),
                       Error);
  Magnitude magnitude;
  CHECK_THROWS_WITH_AS(
      GradualPruning(magnitude, {.structure = parse_structure("2:4")}, SparsityRamp{}),
      doctest::Contains("2:4"), Error);
  Graph dense = quarters_graph();
  Trainer trainer(dense, quarters(), options());
  trainer.add(rigl());
  CHECK_THROWS_WITH_AS(trainer.run(), doctest::Contains("no weight has a mask"), Error);
  Trainer late(dense, quarters(), options());
  late.add(std::make_shared<GradualPruning>(magnitude, PruneOptions{}, SparsityRamp{.end = steps}));
  CHECK_THROWS_WITH_AS(late.run(), doctest::Contains("end < steps"), Error);
}
