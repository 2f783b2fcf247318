// What compression may begin with: initial weights, float layers, a teacher that answers.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/ops.h"
#include "compress/distill/distill.h"
#include "compress/prune/lottery.h"
#include "compress/prune/prune.h"
#include "compress/quantize/quantize.h"
#include "datasets/loader.h"
#include "layers/zoo.h"
#include "optim/history.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;

namespace {

const TrainOptions once = [] {
  TrainOptions o;
  o.epochs = 1;
  o.quiet = true;
  return o;
}();

// A network of the zoo, as a program makes it.
Graph mlp(uint64_t seed) {
  Graph g = capture(*make_model("mlp", {1, 16, 16}, 4, seed), Tensor::zeros({1, 1, 16, 16}));
  g.set_metadata("model", "mlp");
  return g;
}

std::vector<Tensor> inputs() {
  Loader loader(quarters().train, quarters().preprocessing, {.batch = 100, .augment = {}});
  Batch b;
  REQUIRE(loader.next(b));
  return {b.images};
}

Graph fake_quantized() {
  Graph g = quarters_graph();
  quantize(g, calibrate(g, inputs()));
  return g;
}

}  // namespace

TEST_CASE("initial weights are made again from the seed, where they are those that training had") {
  Graph g = mlp(5);
  const auto initial = values_of(g);
  TrainOptions o = once;
  o.seed = 5;
  Trainer(g, quarters(), o).run();
  CHECK(values_of(g) != initial);
  Graph again = initial_network(g, "it");
  CHECK(values_of(again) == initial);
  CHECK(origin_of(again) == Origin::initial);
  prune(g, Magnitude(), {.sparsity = 0.5});
  rewind(g, again);
  CHECK(origin_of(g) == Origin::initial);  // whatever was trained before
  Trainer(g, quarters(), o).run();
  CHECK(trained_epochs(g) == 1);
  reinitialize(g, 8);
  CHECK(origin_of(g) == Origin::initial);
  CHECK(initial_weights_of(g)->seed == 8);
}

TEST_CASE("weights of unknown origin are no ticket") {
  Graph unknown = mlp(5);
  CHECK_THROWS_WITH_AS(initial_network(unknown, "it"),
                       doctest::Contains("does not say whether its weights are initial"), Error);
  Graph other = mlp(5);
  TrainOptions o = once;
  o.seed = 6;  // of the training alone
  Trainer(other, quarters(), o).run();
  CHECK_THROWS_WITH_AS(initial_network(other, "it"), doctest::Contains("did not begin with"),
                       Error);
  Graph own = quarters_graph();
  Trainer(own, quarters(), once).run();
  CHECK_THROWS_WITH_AS(initial_network(own, "it"), doctest::Contains("knows by name"), Error);
}

TEST_CASE("a copy of the weights of step 0 has no training behind it") {
  Graph g = mlp(5);
  record_initialization(g, 5);
  const auto ticket = std::make_shared<RememberStep>(0);
  Trainer trainer(g, quarters(), once);
  trainer.add(ticket);
  trainer.run();
  CHECK(origin_of(g) == Origin::trained);
  CHECK(origin_of(ticket->graph()) == Origin::initial);
}

TEST_CASE(
    "integer and fake-quantized networks are told from float ones, and integers not trained") {
  Graph plain = quarters_graph(), fake = fake_quantized(), integers = lower(fake);
  CHECK_NOTHROW(check_float(plain, "m.pare"));
  CHECK_THROWS_WITH_AS(check_float(fake, "m.pare"),
                       doctest::Contains("m.pare is a fake-quantized network"), Error);
  CHECK_THROWS_WITH_AS(check_float(integers, "m.pare"),
                       doctest::Contains("m.pare is an integer network"), Error);
  CHECK_THROWS_WITH_AS(Trainer(integers, quarters(), once),
                       doctest::Contains("train the float model, then quantize"), Error);
  CHECK(Trainer(fake, quarters(), once).run().epochs.size() == 1);
}

TEST_CASE("a network that was never initialized is not pruned") {
  Dense layer(8, 8);
  Graph g = capture(layer, Tensor::zeros({1, 8}));
  CHECK_THROWS_WITH_AS(prune(g, Magnitude()), doctest::Contains("initialize("), Error);
}

TEST_CASE(
    "an integer network teaches; one whose answers are not finite is refused with its layer") {
  Graph student = quarters_graph(7);
  const auto teach = [&](Graph&& teacher) {
    Trainer trainer(student, quarters(), once);
    trainer.set_loss(distillation_loss(teacher, student, {}), true);
    return trainer.run();
  };
  CHECK(teach(lower(fake_quantized())).epochs.size() == 1);
  Graph broken = quarters_graph();
  for (auto& [name, p] : named_parameters(broken))
    if (p.value().rank() == 2) p.value().copy_from(mul_scalar(p.value(), 3e19));
  try {
    teach(std::move(broken));
    CHECK(false);
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::bad_input);
    const std::string text = e.what();
    CAPTURE(text);
    CHECK(text.find("the teacher answers") != std::string::npos);
    CHECK(text.find("'fc2/dense'") != std::string::npos);
  }
}
