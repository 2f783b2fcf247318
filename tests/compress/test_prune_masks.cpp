// What pruning promises about masks: what is dropped stays dropped in whatever structure, rows
// share evenly, a mistake changes nothing, and empty weights are no weights.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "compress/prune/data_criteria.h"
#include "compress/prune/prune.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

Graph lenet() {
  return capture(*make_model("lenet5-classic", {1, 28, 28}, 10, 3), Tensor::zeros({1, 1, 28, 28}));
}

// Layers of these extents, one after the other.
Graph dense_layers(std::initializer_list<int64_t> extents) {
  Sequential net;
  const int64_t* e = extents.begin();
  for (; e + 1 != extents.end(); ++e)
    net.add<Dense>(message("fc{}", e - extents.begin()), e[0], e[1]);
  initialize(net, 2);
  Graph g = capture(net, Tensor::zeros({1, *extents.begin()}));
  for (Param& p : parameters(g))
    if (p.value().rank() == 1) p.value().fill(0.1);  // behind an empty layer nothing else is left
  return g;
}

std::vector<uint8_t> mask_of(const PrunableWeight& w) {
  const Tensor& mask = w.param.state().mask;
  return mask.defined() ? mask.to_vector<uint8_t>()
                        : std::vector<uint8_t>(size_t(w.param.value().elements()), 1);
}

std::vector<std::vector<uint8_t>> masks_of(const Graph& g) {
  std::vector<std::vector<uint8_t>> all;
  for (const PrunableWeight& w : prunable_weights(g)) all.push_back(mask_of(w));
  return all;
}

std::vector<Batch> noise_batch(const Shape& shape) {
  Batch batch;
  batch.images = normals(shape, 8);
  batch.labels = Tensor::zeros({shape[0]}, DType::i32);
  return {batch};
}

// Scores are whatever a function makes of a weight.
struct Given : Criterion {
  Tensor (*make)(const PrunableWeight&);
  explicit Given(Tensor (*f)(const PrunableWeight&)) : make(f) {}
  std::string name() const override { return "given"; }
  Tensor scores(const PrunableWeight& w) const override { return make(w); }
};

}  // namespace

TEST_CASE("what is dropped stays dropped, from every structure to every other") {
  const char* structures[] = {"unstructured", "4x1", "1x4", "3x5", "2:4", "1:4"};
  for (const char* first : structures)
    for (const char* second : structures)
      for (const PruneScope scope :
           {PruneScope::local, PruneScope::global, PruneScope::erk, PruneScope::row}) {
        CAPTURE(first);
        CAPTURE(second);
        CAPTURE(int(scope));
        const PruneStructure next = parse_structure(second);
        Graph g = lenet();
        prune(g, Magnitude(), {.sparsity = 0.6, .structure = parse_structure(first)});
        const double sparsity = sparsity_of(g);
        const auto before = masks_of(g);
        // Noise would like masked elements as much as others.
        const auto report =
            prune(g, RandomScores(), {.sparsity = 0.8, .scope = scope, .structure = next});
        const auto after = masks_of(g);
        const auto weights = prunable_weights(g);
        for (size_t l = 0; l < weights.size(); ++l) {
          int64_t grown = 0;
          for (size_t i = 0; i < after[l].size(); ++i) grown += after[l][i] > before[l][i];
          CHECK(grown == 0);
          CHECK(report[l].kept == std::count(after[l].begin(), after[l].end(), 1));
          const auto values = weights[l].param.value().to_vector<float>();
          CHECK(std::count_if(values.begin(), values.end(), [](float v) { return v != 0; }) <=
                report[l].kept);
        }
        if (!next.is_n_of_m()) CHECK(sparsity_of(g) >= 0.8 - 1e-3);
        CHECK(sparsity_of(g) >= sparsity);
      }
}

TEST_CASE("N:M on masked weights keeps the N best of those that are left") {
  Graph g = lenet();
  prune(g, RandomScores(), {.sparsity = 0.5});
  const auto before = masks_of(g);
  prune(g, Magnitude(), {.structure = parse_structure("2:4")});
  const auto after = masks_of(g);
  for (size_t i = 0; i < after[2].size(); i += 4) {  // 120 x 400
    const auto live = std::count(&before[2][i], &before[2][i] + 4, 1);
    CHECK(std::count(&after[2][i], &after[2][i] + 4, 1) == std::min<int64_t>(2, live));
  }
}

TEST_CASE("by row every output loses as many weights, its smallest, and masks only grow") {
  Graph g = dense_layers({25, 7, 10});
  const auto dense = prunable_weights(g)[0].param.value().to_vector<float>();
  std::vector<uint8_t> last(dense.size(), 1);
  for (const double sparsity : {0.3, 0.5, 0.63, 0.9, 0.97}) {
    CAPTURE(sparsity);
    const auto report = prune(g, Magnitude(), {.sparsity = sparsity, .scope = PruneScope::row})[0];
    CHECK(report.kept == 175 - std::llround(sparsity * 175));
    const auto mask = masks_of(g)[0];
    for (size_t r = 0; r < 7; ++r) {
      const auto kept = std::count(&mask[r * 25], &mask[r * 25] + 25, 1);
      CHECK(kept >= report.kept / 7);
      CHECK(kept <= report.kept / 7 + (report.kept % 7 > 0));
      float smallest_kept = 1e9f, largest_gone = 0;
      for (size_t i = r * 25; i < (r + 1) * 25; ++i) {
        CHECK(mask[i] <= last[i]);
        const float size = std::fabs(dense[i]);
        if (mask[i])
          smallest_kept = std::min(smallest_kept, size);
        else
          largest_gone = std::max(largest_gone, size);
      }
      CHECK(smallest_kept >= largest_gone);
    }
    last = mask;
  }
  // Rows of blocks: of two in a row one goes, in each of the three rows of the 10 x 7 weight.
  Graph h = dense_layers({7, 10});
  prune(h, Magnitude(),
        {.sparsity = 0.5, .scope = PruneScope::row, .structure = parse_structure("4x4")});
  const auto mask = masks_of(h)[0];
  for (size_t r = 0; r < 10; ++r) {
    CHECK(mask[r * 7] == mask[r / 4 * 28]);
    CHECK(mask[r * 7] != mask[r * 7 + 6]);
  }
  CHECK(parse_prune_scope("row") == PruneScope::row);
}

TEST_CASE("a mistake in any layer leaves every mask and weight as it was") {
  for (const PruneScope scope :
       {PruneScope::local, PruneScope::global, PruneScope::erk, PruneScope::row}) {
    CAPTURE(int(scope));
    Graph g = dense_layers({40, 40, 3});
    prunable_weights(g)[1].param.value().data<float>()[7] = std::nanf("");
    CHECK_THROWS_WITH_AS(prune(g, Magnitude(), {.scope = scope}),
                         doctest::Contains("magnitude: element 7 of 'fc1.weight'"), Error);
    CHECK(sparsity_of(g) == 0);
    CHECK_THROWS_AS(prune(g, Magnitude(), {.structure = parse_structure("2:4")}), Error);
    CHECK(sparsity_of(g) == 0);
  }
  // 1 of 1,600 weights may stay, but of 120 none would.
  for (const PruneScope scope : {PruneScope::local, PruneScope::row}) {
    Graph g = dense_layers({40, 40, 3});
    CHECK_THROWS_WITH_AS(prune(g, Magnitude(), {.sparsity = 0.998, .scope = scope}),
                         doctest::Contains("no layer is emptied"), Error);
    CHECK(sparsity_of(g) == 0);
  }
}

TEST_CASE("scores of a wrong type or shape are an error that names the criterion") {
  Graph g = dense_layers({6, 5, 4});
  const auto wrong = [&](Tensor (*make)(const PrunableWeight&), const char* says) {
    CHECK_THROWS_WITH_AS(prune(g, Given(make), {.sparsity = 0.5}), doctest::Contains(says), Error);
    CHECK(sparsity_of(g) == 0);
  };
  wrong([](const PrunableWeight&) { return Tensor::zeros({3}); },
        "given: the scores of 'fc0.weight' are f32 3, expected f32 5x6");
  wrong([](const PrunableWeight& w) { return Tensor::zeros(w.param.value().shape(), DType::f64); },
        "given: the scores of 'fc0.weight' are f64 5x6, expected f32 5x6");
  wrong([](const PrunableWeight&) { return Tensor(); }, "given: 'fc0.weight' has no scores");
  wrong([](const PrunableWeight& w) { return Tensor::zeros({w.param.value().elements()}); },
        "f32 30, expected f32 5x6");
}

TEST_CASE("structures without extent are errors") {
  Graph g = lenet();
  for (const PruneStructure& s :
       {PruneStructure{.rows = 0}, PruneStructure{.columns = -1},
        PruneStructure{.keep = 0, .of = 4}, PruneStructure{.keep = 4, .of = 4},
        PruneStructure{.keep = 2}, PruneStructure{.rows = 2, .keep = 2, .of = 4}})
    CHECK_THROWS_WITH_AS(prune(g, Magnitude(), {.structure = s}), doctest::Contains("a structure"),
                         Error);
  CHECK(sparsity_of(g) == 0);
}

TEST_CASE("an empty weight is no weight, beside others and alone") {
  for (const std::string_view name : criterion_names()) {
    CAPTURE(std::string(name));
    for (const PruneScope scope :
         {PruneScope::local, PruneScope::global, PruneScope::erk, PruneScope::row}) {
      Graph g = dense_layers({8, 0, 6, 5});
      const auto criterion = make_criterion(std::string(name));
      if (criterion->needs_data()) criterion->prepare(g, noise_batch({3, 8}));
      const auto report = prune(g, *criterion, {.sparsity = 0.5, .scope = scope});
      REQUIRE(report.size() == 1);
      CHECK(report[0].kept == 15);
    }
  }
  Graph none = dense_layers({8, 0, 5});
  CHECK(weights_left_dense(none).empty());
  CHECK(sparsity_of(none) == 0);
  CHECK_THROWS_WITH_AS(prune(none, Magnitude()), doctest::Contains("no weights to prune"), Error);
}
