// What a network's file says of its weights: drawn, learned, or nothing.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "optim/check_network.h"
#include "optim/history.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;

TEST_CASE(
    "a training adds itself to the history, with its epochs, its seed and what it began with") {
  const std::string path =
      std::filesystem::temp_directory_path() / ("pare history " + std::to_string(::getpid()));
  Graph g = quarters_graph();
  CHECK(origin_of(g) == Origin::unknown);
  CHECK(trained_epochs(g) == 0);
  CHECK_FALSE(initial_weights_of(g).has_value());
  const std::string began = weights_hash(g);
  TrainOptions o;
  o.epochs = 2;
  o.seed = 9;
  o.out = path;
  o.quiet = true;
  Trainer(g, quarters(), o).run();
  Graph saved = load_graph(path);
  for (const Graph* graph : {&g, &saved}) {
    CHECK(origin_of(*graph) == Origin::trained);
    CHECK(trained_epochs(*graph) == 2);
    CHECK(initial_weights_of(*graph)->seed == 9);
    CHECK(initial_weights_of(*graph)->hash == began);
  }
  CHECK(weights_hash(saved) != began);
  CHECK(weights_hash(saved) == weights_hash(g));
  Trainer(saved, quarters(), o).run();
  CHECK(trained_epochs(saved) == 4);
  CHECK(initial_weights_of(saved)->hash == began);
  for (const char* end : {"", ".ckpt", ".csv"}) std::filesystem::remove(path + end);
}

TEST_CASE("initial weights are known by their record; files of older versions say what they said") {
  Graph g = quarters_graph();
  add_history(g, R"({"did":"prune","sparsity":0.5})");
  CHECK(origin_of(g) == Origin::unknown);
  record_initialization(g, 4);
  CHECK(origin_of(g) == Origin::initial);
  CHECK(initial_weights_of(g)->seed == 4);
  record_training(g, 3, 5);
  CHECK(origin_of(g) == Origin::trained);
  CHECK(initial_weights_of(g)->seed == 4);
  record_initialization(g, 6);
  CHECK(origin_of(g) == Origin::initial);
  CHECK(g.get_metadata("history") ==
        R"([{"did":"initialize","seed":6},{"did":"prune","sparsity":0.5}])");
  g.set_metadata("history", R"([{"did":"train","epochs":0,"seed":3}])");
  CHECK(origin_of(g) == Origin::initial);
  g.set_metadata("history", R"([{"did":"train","epochs":7,"seed":3},{"did":"prune"}])");
  CHECK(origin_of(g) == Origin::trained);
  CHECK(trained_epochs(g) == 7);
  CHECK(initial_weights_of(g)->seed == 3);
  CHECK(initial_weights_of(g)->hash == "");
  CHECK_THROWS_AS(add_history(g, "[1]"), Error);
  g.set_metadata("history", "{}");
  CHECK_THROWS_AS(origin_of(g), Error);
}

TEST_CASE("the hash of initial weights is that of the first training of them") {
  Graph g = quarters_graph();
  const std::string drawn = weights_hash(g);
  const auto change = [&] { named_parameters(g)[0].second.value().data<float>()[0] += 1; };
  record_initialization(g, 4);
  CHECK(initial_weights_of(g)->hash == "");  // nobody has looked yet
  record_training(g, 3, 5);
  change();
  record_training(g, 3, 6);
  CHECK(initial_weights_of(g)->seed == 4);
  CHECK(initial_weights_of(g)->hash == drawn);
  // Pruned before they were trained: no new network has the hash of what masks leave.
  record_initialization(g, 4);
  add_history(g, R"({"did":"prune","seed":8,"from":"f00"})");
  named_parameters(g)[0].second.state().mask_kind = MaskKind::frozen;
  record_training(g, 3, 5);
  CHECK(initial_weights_of(g)->seed == 4);
  CHECK(initial_weights_of(g)->hash == "");
}

TEST_CASE("a training that fails before it changes a weight is none") {
  TrainOptions o;
  o.epochs = 2;
  o.quiet = true;
  const auto history_after = [&](auto&& prepare) {
    Graph g = quarters_graph();
    record_initialization(g, 4);
    Trainer trainer(g, quarters(), o);
    prepare(trainer);
    CHECK_THROWS(trainer.run());
    return std::pair(origin_of(g), trained_epochs(g));
  };
  const std::pair untrained(Origin::initial, int64_t(0));
  const auto loss_of = [](double value) {
    return [=](const Tensor& y, const Batch&) { return mul_scalar(sum(y), value); };
  };
  CHECK(history_after([&](Trainer& t) { t.set_loss(loss_of(NAN)); }) == untrained);
  CHECK(history_after([](Trainer& t) {
          t.set_loss(
              [](const Tensor&, const Batch&) -> Tensor { throw std::out_of_range("none"); });
        }) == untrained);
  CHECK(history_after([](Trainer& t) {
          t.on_step([](int64_t, int64_t) { throw std::out_of_range("none"); });
        }) == untrained);
  CHECK(history_after([](Trainer& t) {
          t.on_step([](int64_t step, int64_t) {
            if (step == 1) throw std::out_of_range("none");
          });
        }) == std::pair(Origin::trained, int64_t(2)));
}

TEST_CASE("one layer of zeros trains: no gradient has to pass through it") {
  Sequential net;
  net.add<Flatten>("flatten").add<Dense>("fc", 256, 4);
  Graph g = capture(net, Tensor::zeros({1, 1, 16, 16}));
  CHECK_THROWS_AS(check_initialized(g, "pruning"), Error);
  TrainOptions o;
  o.epochs = 2;
  o.quiet = true;
  CHECK(Trainer(g, quarters(), o).run().best_accuracy > 0.5);
  CHECK_NOTHROW(check_initialized(g, "pruning"));
}

TEST_CASE("a network that was never initialized is not trained; a layer of zeros is fine") {
  Sequential net;
  net.add<Flatten>("flatten").add<Dense>("fc1", 256, 24, true).add<Dense>("fc2", 24, 4);
  Graph g = capture(net, Tensor::zeros({1, 1, 16, 16}));
  TrainOptions o;
  o.epochs = 1;
  o.quiet = true;
  CHECK_THROWS_WITH_AS(Trainer(g, quarters(), o).run(), doctest::Contains("initialize("), Error);
  CHECK(g.get_metadata("history").empty());
  initialize(net, 1);
  for (auto& [name, p] : named_parameters(net))
    if (name == "fc2.weight") p.value().fill(0);
  CHECK(Trainer(g, quarters(), o).run().epochs.size() == 1);
}
