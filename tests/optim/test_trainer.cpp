#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "core/storage.h"
#include "optim/interrupt.h"
#include "optim/progress.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("pare trainer " + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
};

TrainOptions options(const std::string& out = {}) {
  TrainOptions o;
  o.epochs = 3;
  o.batch = 32;
  o.optimizer = {.name = "adamw", .rate = 0.01, .weight_decay = 0.01};
  o.warmup = 0.5;
  o.augment = "shift";
  o.out = out;
  o.quiet = true;
  return o;
}

}  // namespace

TEST_CASE("a trainer learns, reports every epoch, and leaves the best model and a log") {
  const Folder folder;
  Graph g = quarters_graph();
  Trainer trainer(g, quarters(), options(folder / "m.pare"));
  const TrainReport report = trainer.run();
  REQUIRE(report.epochs.size() == 3);
  CHECK(report.epochs[2].loss < report.epochs[0].loss);
  CHECK(report.best_accuracy > 0.9);
  CHECK(report.best_accuracy == report.epochs[size_t(report.best_epoch - 1)].val_accuracy);
  Graph saved = load_graph(folder / "m.pare");
  CHECK(values_of(saved) == values_of(g));
  CHECK(evaluate(saved, quarters().test, quarters().preprocessing).accuracy > 0.9);
  std::ifstream log(folder / "m.pare.csv");
  std::string line;
  int lines = 0;
  while (std::getline(log, line)) ++lines;
  CHECK(lines == 4);
}

TEST_CASE("a run stopped anywhere and resumed has the bits of one that was not") {
  const Folder folder;
  Graph whole = quarters_graph();
  const TrainReport expected = Trainer(whole, quarters(), options()).run();
  for (const int64_t stop : {1, 8, 9, 17, 26}) {
    CAPTURE(stop);
    {
      const InterruptScope scope;
      Graph g = quarters_graph();
      Trainer trainer(g, quarters(), options(folder / "m.pare"));
      trainer.on_step([&](int64_t step, int64_t) {
        if (step == stop) std::raise(SIGINT);
      });
      CHECK(trainer.run().interrupted);
    }
    const InterruptScope scope;
    Checkpoint c = load_checkpoint(folder / "m.pare.ckpt");
    CHECK(c.state.step == stop + 1);
    c.options.quiet = true;
    const TrainReport report = Trainer(c, quarters()).run();
    CHECK_FALSE(report.interrupted);
    CHECK(values_of(c.graph) == values_of(whole));
    REQUIRE(report.epochs.size() == expected.epochs.size());
    for (size_t i = 0; i < report.epochs.size(); ++i) {
      CHECK(report.epochs[i].loss == expected.epochs[i].loss);
      CHECK(report.epochs[i].val_accuracy == expected.epochs[i].val_accuracy);
    }
  }
}

TEST_CASE("a loss that looks its targets up by index finds those of its examples") {
  const Dataset& data = quarters();
  const int32_t* labels = data.train.labels.data<int32_t>();
  for (const double holdout : {0.0, 0.1, 0.35}) {
    CAPTURE(holdout);
    Graph g = quarters_graph();
    TrainOptions o = options();
    o.holdout = holdout;
    Trainer trainer(g, data, o);
    int64_t wrong = 0;
    std::set<int64_t> seen;
    trainer.set_loss([&](const Tensor& logits, const Batch& batch) {
      const auto given = batch.labels.to_vector<int32_t>();
      REQUIRE(batch.indices.size() == given.size());
      for (size_t i = 0; i < given.size(); ++i) {
        REQUIRE(batch.indices[i] < data.train.size());
        wrong += labels[batch.indices[i]] != given[i];
        seen.insert(batch.indices[i]);
      }
      return softmax_cross_entropy(logits, batch.labels);
    });
    trainer.run();
    CHECK(wrong == 0);
    for (const int64_t i : held_out_indices(data.train.size(), holdout)) CHECK(!seen.contains(i));
  }
}

TEST_CASE("a second run on trained parameters is the same from memory and from the file") {
  const Folder folder;
  Graph g = quarters_graph();
  Trainer(g, quarters(), options(folder / "m.pare")).run();
  Graph saved = load_graph(folder / "m.pare");
  Trainer(g, quarters(), options()).run();
  Trainer(saved, quarters(), options()).run();
  CHECK(values_of(g) == values_of(saved));
}

TEST_CASE("masks stay through AdamW with decay, checkpoints and resume") {
  const Folder folder;
  Graph g = quarters_graph();
  Param p = parameters(g)[0];
  std::vector<uint8_t> keep(size_t(p.value().elements()));
  for (size_t i = 0; i < keep.size(); ++i) keep[i] = i % 5 == 0;
  p.set_mask(Tensor::from(keep, p.value().shape()));
  Trainer(g, quarters(), options(folder / "m.pare")).run();
  Graph saved = load_graph(folder / "m.pare");
  const auto w = parameters(saved)[0].value().to_vector<float>();
  for (size_t i = 0; i < w.size(); ++i) CHECK((w[i] != 0) == (keep[i] != 0));
}

TEST_CASE("divergence names the epoch and the layer, and keeps the weights and the files") {
  const Folder folder;
  for (const char* optimizer : {"sgd", "nesterov", "adam", "adamw"})
    for (const double rate : {1e10, 1e4}) {
      CAPTURE(optimizer);
      CAPTURE(rate);
      TrainOptions o = options(folder / "m.pare");
      o.optimizer = {.name = optimizer, .rate = rate};
      o.warmup = 0;
      Graph g = quarters_graph();
      try {
        Trainer(g, quarters(), o).run();
        CHECK(false);
      } catch (const Error& e) {
        CHECK(e.code() == ErrorCode::diverged);
        const std::string text = e.what();
        CAPTURE(text);
        CHECK(text.find("training diverged") != std::string::npos);
        CHECK((text.find("'fc1") != std::string::npos || text.find("'fc2") != std::string::npos));
      }
      for (const float v : values_of(g)) CHECK(std::isfinite(v));
      CHECK_FALSE(fs::exists(folder / "m.pare"));
    }
}

TEST_CASE("masks that change while training are those of the best epoch afterwards") {
  Graph g = quarters_graph();
  Param p = parameters(g)[0];
  Trainer trainer(g, quarters(), options());
  trainer.on_step([&](int64_t step, int64_t steps) {
    std::vector<uint8_t> keep(size_t(p.value().elements()));
    for (size_t i = 0; i < keep.size(); ++i) keep[i] = int64_t(i) % steps >= step;
    p.set_mask(Tensor::from(keep, p.value().shape()));
  });
  trainer.run();
  const auto w = p.value().to_vector<float>();
  const auto mask = p.state().mask.to_vector<int>();
  for (size_t i = 0; i < w.size(); ++i) CHECK((w[i] != 0) == (mask[i] != 0));
}

TEST_CASE("a checkpoint that was moved goes on beside its new place") {
  const Folder folder;
  {
    const InterruptScope scope;
    Graph g = quarters_graph();
    Trainer trainer(g, quarters(), options(folder / "m.pare"));
    trainer.on_step([](int64_t step, int64_t) {
      if (step == 3) std::raise(SIGTERM);
    });
    CHECK(trainer.run().interrupted);
  }
  fs::rename(folder / "m.pare.ckpt", folder / "other.ckpt");
  const InterruptScope scope;
  Checkpoint c = load_checkpoint(folder / "other.ckpt");
  c.options.quiet = true;
  CHECK(Trainer(c, quarters()).run().epochs.size() == 3);
  CHECK(fs::exists(folder / "other"));
  CHECK(fs::exists(folder / "other.csv"));
  CHECK_FALSE(fs::exists(folder / "m.pare"));
}

TEST_CASE("options out of range are refused; other files are no checkpoints") {
  Graph g = quarters_graph();
  const auto with = [&](auto change) {
    TrainOptions o = options();
    change(o);
    Trainer(g, quarters(), o).run();
  };
  CHECK_THROWS_AS(with([](auto& o) { o.epochs = 0; }), Error);
  CHECK_THROWS_AS(with([](auto& o) { o.batch = 0; }), Error);
  CHECK_THROWS_AS(with([](auto& o) { o.holdout = 1; }), Error);
  CHECK_THROWS_AS(with([](auto& o) { o.augment = "rotat"; }), Error);
  CHECK_THROWS_AS(with([](auto& o) { o.warmup = -1; }), Error);
  const Folder folder;
  save_graph(g, folder / "m.pare");
  CHECK_THROWS_WITH_AS(load_checkpoint(folder / "m.pare"), doctest::Contains("no checkpoint"),
                       Error);
}

TEST_CASE("times and rates as progress shows them") {
  CHECK(clock_time(59.6) == "1:00");
  CHECK(clock_time(3723) == "1:02:03");
  CHECK(rate_text(31250.4) == "31250");
  CHECK(rate_text(12.52) == "12.5");
  CHECK(rate_text(0.04218) == "0.0422");
}

TEST_CASE("after the first epoch training takes nothing new from the system") {
  Graph g = quarters_graph();
  TrainOptions o = options();
  o.epochs = 4;
  size_t after_first = 0, last = 0;
  Trainer trainer(g, quarters(), o);
  trainer.on_step([&](int64_t step, int64_t steps) {
    const size_t now = size_t(pool_statistics(Device{}).system_allocations);
    if (step == steps / 2) after_first = now;
    last = now;
  });
  trainer.run();
  CHECK(last == after_first);
}
