#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/plan/plan.h"
#include "compress/prune/data_criteria.h"
#include "compress/prune/prune.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "optim/average.h"
#include "optim/optimizer.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

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

TEST_CASE("zeros stay in value, gradient and every slot, under decay, averages, clones and files") {
  const auto path =
      std::filesystem::temp_directory_path() / ("pare zeros " + std::to_string(::getpid()));
  const Tensor x = normals({8, 1, 28, 28}, 1);
  const Tensor y = Tensor::from<int32_t>({0, 1, 2, 3, 4, 5, 6, 7}, {8});
  for (const char* name : {"sgd", "nesterov", "adam", "adamw"}) {
    CAPTURE(name);
    Graph g = small_lenet();
    prune(g, Magnitude(), {.sparsity = 0.8});
    const int64_t before = nonzeros(g);
    const auto optimizer = make_optimizer(
        named_parameters(g), {.name = name, .rate = 0.01, .weight_decay = 0.1, .clip = 1});
    WeightAverage average(0.5);
    average.start({g, 0, 5});
    for (int step = 0; step < 5; ++step) {
      {
        Tape tape;
        tape.backward(softmax_cross_entropy(g(x, Mode::train), y));
      }
      optimizer->step();
      average.after_update({g, step, 5});
    }
    const auto zeros_hold = [&](Graph& h) {
      CHECK(nonzeros(h) == before);
      for (const PrunableWeight& w : prunable_weights(h)) {
        const ParamState& s = w.param.state();
        REQUIRE(s.mask_kind == MaskKind::frozen);
        const auto mask = s.mask.to_vector<uint8_t>();
        const auto holds = [&](const Tensor& t) {
          if (!t.defined()) return true;
          const auto v = t.to_vector<float>();
          for (size_t i = 0; i < v.size(); ++i)
            if (!mask[i] && (v[i] != 0 || std::signbit(v[i]))) return false;
          return true;
        };
        CHECK(holds(s.value));
        CHECK(holds(s.grad));
        for (const auto& [slot, tensor] : s.slots) {
          CAPTURE(slot);
          CHECK(holds(tensor));
        }
      }
    };
    zeros_hold(g);
    CHECK(prunable_weights(g)[0].param.state().slots.size() >= 2);  // the average among them
    Graph copy = g.clone();
    zeros_hold(copy);
    save_graph(g, path.string());
    Graph loaded = load_graph(path.string());
    zeros_hold(loaded);
    ContainerWriter writer;
    add_graph(writer, g, {.slots = true});
    writer.write(path.string());
    Graph resumed = read_graph(Container(path.string()));
    CHECK(prunable_weights(resumed)[0].param.state().slots.size() >= 2);
    zeros_hold(resumed);
    average.before_evaluation(g);  // the averages are the values now
    zeros_hold(g);
  }
  std::filesystem::remove(path);
}

TEST_CASE("what is pruned stays pruned when less is asked for; the floor follows the share") {
  Graph g = small_lenet();
  prune(g, Magnitude(), {.sparsity = 0.9, .scope = PruneScope::global});
  const double sparsity = sparsity_of(g);
  CHECK(sparsity == doctest::Approx(0.9).epsilon(1e-3));
  prune(g, Magnitude(), {.sparsity = 0.5, .scope = PruneScope::global});
  CHECK(sparsity_of(g) == sparsity);
  // One layer is worth nothing: it keeps a tenth of an even share.
  Graph h = small_lenet();
  prunable_weights(h)[2].param.value().fill(1e-6);
  const auto layers = prune(h, Magnitude(), {.sparsity = 0.95, .scope = PruneScope::global});
  CHECK(layers[2].kept == std::llround(0.1 * 0.05 * double(layers[2].elements)));
  // Only the layers that are asked for.
  Graph k = small_lenet();
  const auto one = prune(k, Magnitude(), {.sparsity = 0.5, .filter = [](const PrunableWeight& w) {
                                            return w.node.find("fc1") != std::string::npos;
                                          }});
  CHECK(one.size() == 1);
  CHECK(sparsity_after(1, 2, 0.75) == doctest::Approx(0.5));
  CHECK(sparsity_after(2, 2, 0.75) == 0.75);
  CHECK(weights_left_dense(k).empty());
}

TEST_CASE("a weight that an op of the user's reads is named and stays dense; the rest is pruned") {
  static const Op& op = register_op({.name = "test_gain",
                                     .infer = [](Call& c) { c.output(c.x().shape()); },
                                     .forward = [](Call& c) { c.outputs[0].copy_from(c.x()); }});
  struct Gain : Module {
    Param weight{Tensor::full({2, 3}, 0.5), true};
    Tensor forward(const Tensor& x, Mode) override {
      const Tensor w = weight();
      return apply(op, {&x, &w});
    }
    void visit(Visitor& v) override { v("weight", weight); }
  };
  Sequential net;
  net.add<Dense>("a", 5, 6).add("gain", std::make_unique<Gain>()).add<Dense>("b", 6, 7);
  initialize(net, 1);
  Graph g = capture(net, Tensor::zeros({1, 5}));
  CHECK(weights_left_dense(g) == std::vector<std::string>{"gain.weight"});
  prune(g, Magnitude(), {.sparsity = 0.5});
  CHECK(sparsity_of(g) == doctest::Approx(0.5).epsilon(0.02));
  const Tensor x = normals({4, 5}, 2);
  CHECK(compile(g)(x).to_vector<float>() == g(x, Mode::eval).to_vector<float>());
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

namespace {

std::vector<Batch> some_batches() {
  std::vector<Batch> batches(2);
  for (size_t b = 0; b < 2; ++b) {
    batches[b].images = normals({6, 1, 28, 28}, 20 + b);
    batches[b].labels = Tensor::from(std::vector<int32_t>{0, 3, 9, 1, 5, 2}, {6});
  }
  return batches;
}

// Kept elements of each row of the first prunable weight of two axes.
std::vector<uint8_t> mask_of(const Graph& g, size_t weight) {
  return prunable_weights(g)[weight].param.state().mask.to_vector<uint8_t>();
}

}  // namespace

TEST_CASE("every criterion scores every weight, and looking at data changes nothing") {
  for (const std::string_view name : criterion_names()) {
    CAPTURE(std::string(name));
    Graph g = small_lenet();
    const auto before = g.run(normals({2, 1, 28, 28}, 1))[0].to_vector<float>();
    const auto criterion = make_criterion(std::string(name));
    if (criterion->needs_data()) {
      CHECK_THROWS_WITH_AS(criterion->scores(prunable_weights(g)[0]), doctest::Contains("prepare"),
                           Error);
      criterion->prepare(g, some_batches());
    }
    CHECK(g.run(normals({2, 1, 28, 28}, 1))[0].to_vector<float>() == before);
    for (const PrunableWeight& w : prunable_weights(g)) {
      const Tensor s = criterion->scores(w);
      CHECK(s.shape() == w.param.value().shape());
      double sum = 0;
      for (const float v : s.to_vector<float>()) sum += v;
      CHECK(sum > 0);
      CHECK(!w.param.has_grad());
    }
    CHECK(prune(g, *criterion, {.sparsity = 0.8}).size() == 5);
  }
  CHECK_THROWS_WITH_AS(make_criterion("tailor"), doctest::Contains("taylor"), Error);
}

TEST_CASE("taylor, snip and fisher are what their formulas say, on a network done by hand") {
  // One dense layer of one input and two classes: dL/dw_c = (p_c - [y = c]) x.
  Dense layer(1, 2);
  layer.weight.value().copy_from(Tensor::from(std::vector<float>{0.5f, -0.25f}, {2, 1}));
  Graph g = capture(layer, Tensor::zeros({1, 1}));
  std::vector<Batch> batches(2);
  batches[0].images = Tensor::from(std::vector<float>{1}, {1, 1});
  batches[0].labels = Tensor::from(std::vector<int32_t>{0}, {1});
  batches[1].images = Tensor::from(std::vector<float>{-2}, {1, 1});
  batches[1].labels = Tensor::from(std::vector<int32_t>{1}, {1});
  const auto slope = [](double x, int y) {  // of the first weight
    const double p = 1 / (1 + std::exp(-0.75 * x));
    return (p - (y == 0 ? 1 : 0)) * x;
  };
  const double a = slope(1, 0), b = slope(-2, 1), w = 0.5;
  const auto first = [&](const char* name) {
    const auto c = make_criterion(name);
    c->prepare(g, batches);
    return double(c->scores(prunable_weights(g)[0]).to_vector<float>()[0]);
  };
  CHECK(first("taylor") == doctest::Approx(w * (std::abs(a) + std::abs(b)) / 2));
  CHECK(first("snip") == doctest::Approx(w * std::abs(a + b) / 2));
  CHECK(first("fisher") == doctest::Approx(w * w * (a * a + b * b) / 4));
  CHECK(first("wanda") == doctest::Approx(w * std::sqrt(1 + 4.0)));
}

TEST_CASE("wanda weighs convolution weights by their input channel, within groups") {
  Conv2d layer(4, 6, 3, {.padding = 1, .groups = 2});
  initialize(layer, 1);
  Graph g = capture(layer, Tensor::zeros({1, 4, 5, 5}));
  std::vector<Batch> batches(1);
  batches[0].images = Tensor::zeros({2, 4, 5, 5});
  for (int64_t i = 75; i < 100; ++i) batches[0].images.data<float>()[i] = 2;  // channel 3 alone
  batches[0].labels = Tensor::zeros({2}, DType::i32);
  Wanda wanda;
  wanda.prepare(g, batches);
  const auto s = wanda.scores(prunable_weights(g)[0]).to_vector<float>();
  const auto w = layer.weight.value().to_vector<float>();
  for (size_t i = 0; i < s.size(); ++i) {
    const bool sees = i / 18 >= 3 && i / 9 % 2 == 1;  // second group, its second channel
    CHECK(s[i] == doctest::Approx(sees ? std::abs(w[i]) * 10 : 0));
  }
}

TEST_CASE("blocks go whole, N:M keeps N of every M, and edges are smaller") {
  Graph g = small_lenet();
  prune(g, Magnitude(), {.sparsity = 0.75, .structure = parse_structure("4x1")});
  const auto mask = mask_of(g, 4);  // 10 x 84
  int64_t kept = 0;
  for (int64_t c = 0; c < 84; ++c)
    for (int64_t r = 0; r < 10; ++r) {
      CHECK(mask[size_t(r * 84 + c)] == mask[size_t(r / 4 * 4 * 84 + c)]);
      kept += r % 4 == 0 && mask[size_t(r * 84 + c)];
    }
  CHECK(kept == 3 * 84 - std::llround(0.75 * 3 * 84));

  Graph h = small_lenet();
  prune(h, Magnitude(), {.structure = parse_structure("2:4")});
  const auto weight = prunable_weights(h)[0].param.value().to_vector<float>();  // 6 x 25
  const auto two = mask_of(h, 0);
  for (int64_t r = 0; r < 6; ++r)
    for (int64_t c = 0; c < 25; c += 4) {
      int64_t n = 0;
      for (int64_t i = c; i < std::min<int64_t>(25, c + 4); ++i) n += two[size_t(r * 25 + i)];
      CHECK(n == (c == 24 ? 1 : 2));
    }
  CHECK(parse_structure("8x1").name() == "8x1");
  for (const char* bad : {"", "4", "4x", "x4", "0x4", "4:4", "5:4", "4x1x1", "2:4 ", "65x1"})
    CHECK_THROWS_AS(parse_structure(bad), Error);
}

TEST_CASE("runs and blocks of columns lie along the input channels at each place of the window") {
  Conv2d layer(8, 3, 3, {.padding = 1});
  initialize(layer, 1);
  const Tensor x = Tensor::zeros({1, 8, 5, 5});
  const auto kept = [&](const char* structure) {
    Graph g = capture(layer, x).clone();
    prune(g, Magnitude(), {.sparsity = 0.5, .structure = parse_structure(structure)});
    return mask_of(g, 0);
  };
  const auto runs = kept("2:4"), blocks = kept("1x4");
  for (size_t o = 0; o < 3; ++o)
    for (size_t place = 0; place < 9; ++place)
      for (size_t first = 0; first < 8; first += 4) {
        int in_run = 0, in_block = 0;
        for (size_t i = first; i < first + 4; ++i) {
          in_run += runs[(o * 8 + i) * 9 + place];
          in_block += blocks[(o * 8 + i) * 9 + place];
        }
        CHECK(in_run == 2);
        CHECK(in_block % 4 == 0);
      }
  CHECK(std::count(blocks.begin(), blocks.end(), uint8_t(1)) == 3 * 8 * 9 / 2);

  // Three channels: runs go on at the next place, and the last of 27 columns keeps its share.
  Conv2d narrow(3, 2, 3);
  initialize(narrow, 2);
  Graph g = capture(narrow, Tensor::zeros({1, 3, 5, 5}));
  prune(g, Magnitude(), {.structure = parse_structure("2:4")});
  const auto mask = mask_of(g, 0);
  for (size_t o = 0; o < 2; ++o)
    for (size_t c = 0; c < 27; c += 4) {
      int n = 0;
      for (size_t i = c; i < std::min<size_t>(27, c + 4); ++i)
        n += mask[(o * 3 + i % 3) * 9 + i / 3];
      CHECK(n == 2);
    }
}

TEST_CASE("erk keeps what was asked for in all, and more of small layers") {
  Graph g = small_lenet();
  const auto report = prune(g, Magnitude(), {.sparsity = 0.9, .scope = PruneScope::erk});
  int64_t kept = 0, all = 0;
  for (const PrunedLayer& l : report) {
    kept += l.kept;
    all += l.elements;
  }
  CHECK(std::abs(double(kept) - 0.1 * double(all)) <= 5);
  const auto share = [&](size_t i) { return double(report[i].kept) / double(report[i].elements); };
  CHECK(share(0) > 0.8);       // 6 x 1 x 5 x 5
  CHECK(share(2) < share(3));  // 120 x 400, 84 x 120
  const double ratio = (120 + 400) / (120.0 * 400) / ((84 + 120) / (84.0 * 120));
  CHECK(share(2) / share(3) == doctest::Approx(ratio).epsilon(0.01));
  Graph h = small_lenet();
  CHECK(prune(h, Magnitude(), {.sparsity = 0.5, .scope = PruneScope::erk})[0].kept == 150);
}
