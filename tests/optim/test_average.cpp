#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "autograd/graph_file.h"
#include "optim/interrupt.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;
namespace fs = std::filesystem;

namespace {

TrainOptions options(const std::string& out = {}) {
  TrainOptions o;
  o.epochs = 3;
  o.batch = 32;
  o.optimizer = {.name = "sgd", .rate = 0.05};
  o.average = 0.9;
  o.holdout = 0;
  o.out = out;
  o.quiet = true;
  return o;
}

}  // namespace

TEST_CASE("what is kept is the average of the weights along the way") {
  Graph g = quarters_graph();
  const std::vector<float> start = values_of(g);
  std::vector<double> average(start.begin(), start.end());
  struct Follow : TrainHook {
    std::vector<double>& average;
    explicit Follow(std::vector<double>& a) : average(a) {}
    void after_update(const TrainMoment& now) override {
      const double d = std::min(0.9, double(1 + now.step) / double(10 + now.step));
      const auto w = values_of(now.graph);
      for (size_t i = 0; i < w.size(); ++i) average[i] = d * average[i] + (1 - d) * double(w[i]);
    }
  };
  Trainer trainer(g, quarters(), options());
  trainer.add(std::make_shared<Follow>(average));
  trainer.run();
  const auto kept = values_of(g);
  for (size_t i = 0; i < kept.size(); ++i)
    CHECK(double(kept[i]) == doctest::Approx(average[i]).epsilon(1e-4));
}

TEST_CASE("averages keep the zeros of a mask, and a resumed run has the same bits") {
  const fs::path folder =
      fs::temp_directory_path() / ("pare average " + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string out = (folder / "m.pare").string();
  // A mask that comes while the average has values there already.
  struct Mask : TrainHook {
    void before_step(const TrainMoment& now) override {
      if (now.step != 12) return;
      Param p = parameters(now.graph)[0];
      std::vector<uint8_t> keep(size_t(p.value().elements()));
      for (size_t i = 0; i < keep.size(); ++i) keep[i] = i % 3 == 0;
      p.set_mask(Tensor::from(keep, p.value().shape()));
    }
  };
  Graph whole = quarters_graph();
  {
    Trainer trainer(whole, quarters(), options());
    trainer.add(std::make_shared<Mask>());
    trainer.run();
  }
  const auto w = parameters(whole)[0].value().to_vector<float>();
  for (size_t i = 0; i < w.size(); ++i) CHECK((w[i] != 0) == (i % 3 == 0));
  for (const int64_t stop : {5, 13, 20}) {
    CAPTURE(stop);
    {
      const InterruptScope scope;
      Graph g = quarters_graph();
      Trainer trainer(g, quarters(), options(out));
      trainer.add(std::make_shared<Mask>());
      trainer.on_step([&](int64_t step, int64_t) {
        if (step == stop) std::raise(SIGINT);
      });
      CHECK(trainer.run().interrupted);
    }
    const InterruptScope scope;
    Checkpoint c = load_checkpoint(out + ".ckpt");
    c.options.quiet = true;
    Trainer trainer(c, quarters());
    trainer.add(std::make_shared<Mask>());
    trainer.run();
    CHECK(values_of(c.graph) == values_of(whole));
    Graph saved = load_graph(out);
    CHECK(values_of(saved) == values_of(whole));
  }
  fs::remove_all(folder);
  TrainOptions o = options();
  for (const double bad : {-0.5, 1.0, 2.0}) {
    o.average = bad;
    CHECK_THROWS_AS(Trainer(whole, quarters(), o), Error);
  }
}
