#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/prune/prune.h"
#include "core/random.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"

using namespace pare;

namespace {

Graph small_lenet() {
  const auto net = make_model("lenet5-classic", {1, 28, 28}, 10, 3);
  return capture(*net, Tensor::zeros({1, 1, 28, 28}));
}

int64_t nonzeros(const Graph& g) {
  int64_t n = 0;
  for (const auto& w : prunable_weights(g))
    for (const float v : w.param.value().to_vector<float>()) n += v != 0;
  return n;
}

Tensor noise(const Shape& shape, uint64_t seed) {
  const Tensor t = Tensor::empty(shape);
  Rng rng(seed);
  for (int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] = float(rng.normal());
  return t;
}

}  // namespace

TEST_CASE("prune keeps exactly the largest weights, in every layer or over all") {
  for (const PruneScope scope : {PruneScope::local, PruneScope::global}) {
    Graph g = small_lenet();
    const auto report = prune(g, Magnitude(), {.sparsity = 0.9, .scope = scope});
    CHECK(report.size() == 5);
    int64_t kept = 0, elements = 0;
    for (const PrunedLayer& layer : report) {
      kept += layer.kept;
      elements += layer.elements;
      CHECK(layer.kept >= 1);
      if (scope == PruneScope::local)
        CHECK(layer.kept == layer.elements - std::llround(0.9 * double(layer.elements)));
    }
    CHECK(kept == nonzeros(g));
    if (scope == PruneScope::global) CHECK(kept == elements - std::llround(0.9 * double(elements)));
    // Whatever stays is at least as large as whatever went.
    const Graph dense = small_lenet();
    const auto weights = prunable_weights(g), before = prunable_weights(dense);
    for (size_t l = 0; l < weights.size() && scope == PruneScope::local; ++l) {
      const auto w = weights[l].param.value().to_vector<float>(),
                 b = before[l].param.value().to_vector<float>();
      float smallest_kept = 1e9f, largest_gone = 0;
      for (size_t i = 0; i < w.size(); ++i)
        (w[i] != 0 ? smallest_kept : largest_gone) = w[i] != 0
                                                         ? std::min(smallest_kept, std::fabs(b[i]))
                                                         : std::max(largest_gone, std::fabs(b[i]));
      CHECK(smallest_kept >= largest_gone);
    }
  }
}

TEST_CASE("ties are broken by index, so that the count is exact") {
  Graph g = small_lenet();
  for (const auto& w : prunable_weights(g)) w.param.value().fill(0.5);
  const auto report = prune(g, Magnitude(), {.sparsity = 0.5});
  const auto first = prunable_weights(g)[0].param.value().to_vector<float>();
  for (size_t i = 0; i < first.size(); ++i) CHECK((first[i] != 0) == (i < first.size() / 2));
  // A second pass at the same sparsity changes nothing; a higher one keeps what was pruned pruned.
  const auto again = prune(g, Magnitude(), {.sparsity = 0.5});
  CHECK(again[0].kept == report[0].kept);
  CHECK(prunable_weights(g)[0].param.value().to_vector<float>() == first);
}

TEST_CASE("a pruned network trains with its zeros in place") {
  Graph g = small_lenet();
  prune(g, Magnitude(), {.sparsity = 0.8});
  const int64_t before = nonzeros(g);
  Sgd sgd(named_parameters(g), {.rate = 0.05, .momentum = 0.9, .weight_decay = 1e-2});
  const Tensor x = noise({8, 1, 28, 28}, 1);
  const Tensor y = Tensor::from<int32_t>({0, 1, 2, 3, 4, 5, 6, 7}, {8});
  for (int step = 0; step < 5; ++step) {
    Tape tape;
    tape.backward(softmax_cross_entropy(g(x, Mode::train), y));
    sgd.step();
  }
  CHECK(nonzeros(g) == before);
  CHECK(nonzeros(g.clone()) == before);
}

TEST_CASE("prune names what is wrong") {
  Graph g = small_lenet();
  CHECK_THROWS_WITH_AS(prune(g, Magnitude(), {.sparsity = 1.5}),
                       doctest::Contains("between 0 and 1"), Error);
  CHECK_THROWS_WITH_AS(prune(g, Magnitude(), {.sparsity = 1.0}),
                       doctest::Contains("no layer is emptied"), Error);
  CHECK_THROWS_WITH_AS(make_criterion("magnitud"), doctest::Contains("magnitude"), Error);
  prunable_weights(g)[1].param.value().data<float>()[7] = std::nanf("");
  CHECK_THROWS_WITH_AS(prune(g, Magnitude()), doctest::Contains("has the score"), Error);
}
