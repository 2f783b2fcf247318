// What a masked parameter holds is what its mask keeps, however it is written and read.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "autograd/graph_file.h"
#include "autograd/graph_summary.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "compress/plan/plan.h"
#include "compress/prune/prune.h"
#include "layers/layers.h"
#include "optim/optimizer.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

Graph pruned() {
  Sequential net;
  net.add<Dense>("a", 6, 8, true).add<Dense>("b", 8, 3);
  initialize(net, 1);
  Graph graph = capture(net, Tensor::zeros({1, 6}));
  prune(graph, Magnitude(), {.sparsity = 0.5});
  return graph;
}

std::vector<Param> weights(Graph& graph) {
  std::vector<Param> all;
  for (Param& p : parameters(graph))
    if (p.value().rank() == 2) all.push_back(p);
  return all;
}

const Tensor ones = Tensor::full({1, 6}, 1);

// What the network answers with `value` where the masks keep and zero elsewhere.
std::vector<float> expected(Graph& graph, double value) {
  Graph copy = graph.clone();
  for (Param& p : weights(copy)) {
    const auto keep = p.state().mask.to_vector<float>();
    std::vector<float> w;
    for (const float k : keep) w.push_back(k == 0 ? 0.0f : float(value));
    p.state().mask_kind = MaskKind::none;
    p.value().copy_from(Tensor::from(w, p.value().shape()));
  }
  return copy(ones).to_vector<float>();
}

using Write = std::function<void(Param&, double)>;
const Write writes[] = {
    [](Param& p, double v) { p.value().copy_from(Tensor::full(p.value().shape(), v)); },
    [](Param& p, double v) { p.value().fill(v); },
    [](Param& p, double v) { p.set_value(Tensor::full(p.value().shape(), v)); },
    [](Param& p, double v) { p.state().value = Tensor::full(p.value().shape(), v); },
    [](Param& p, double v) {
      float* w = p.value().data<float>();
      for (int64_t i = 0; i < p.value().elements(); ++i) w[i] = float(v);
    },
};

std::vector<float> through_file(Graph& graph) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("pare masks " + std::to_string(::getpid()));
  save_graph(graph, path);
  Graph loaded = load_graph(path);
  std::filesystem::remove(path);
  return loaded(ones).to_vector<float>();
}

using Read = std::function<std::vector<float>(Graph&)>;
const Read reads[] = {
    [](Graph& g) { return g(ones).to_vector<float>(); },
    [](Graph& g) {
      Tape tape;
      return g(ones, Mode::train).to_vector<float>();
    },
    [](Graph& g) { return g.clone()(ones).to_vector<float>(); },
    [](Graph& g) { return g.share()(ones).to_vector<float>(); },
    through_file,
    [](Graph& g) {
      Tensor y;
      compile(g).run(ones, y);
      return y.to_vector<float>();
    },
};

void check_alike(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(double(b[i])).epsilon(1e-6));
}

void step(Graph& graph, Optimizer& optimizer) {
  Tape tape;
  const Tensor y = graph(ones, Mode::train);
  tape.backward(sum(mul(y, y), {0, 1}, false));
  optimizer.step();
}

}  // namespace

TEST_CASE("weights written under a mask are seen by no reading") {
  for (size_t w = 0; w < std::size(writes); ++w)
    for (size_t r = 0; r < std::size(reads); ++r) {
      CAPTURE(w);
      CAPTURE(r);
      Graph g = pruned();
      const auto want = expected(g, 0.1);
      for (Param& p : weights(g)) writes[w](p, 0.1);
      CHECK(reads[r](g) == reads[0](g));
      check_alike(reads[r](g), want);
    }
}

TEST_CASE("the same after a step of an optimizer, which leaves zeros that the next one trusts") {
  for (size_t w = 0; w < std::size(writes); ++w)
    for (size_t r = 0; r < std::size(reads); ++r) {
      CAPTURE(w);
      CAPTURE(r);
      Graph g = pruned();
      Sgd sgd(named_parameters(g), {.rate = 0.01, .momentum = 0.9});
      for (int i = 0; i < 2; ++i) step(g, sgd);
      for (auto& [name, p] : named_parameters(g))
        if (p.value().rank() == 1) p.value().fill(0);
      for (Param& p : weights(g)) writes[w](p, 0.1);
      Graph fresh = pruned();
      check_alike(reads[r](g), expected(fresh, 0.1));
    }
}

TEST_CASE("a tensor or a pointer that was kept writes at any time") {
  Graph g = pruned();
  Sgd sgd(named_parameters(g), {.rate = 0.0, .momentum = 0});
  const auto want = expected(g, 0.1);
  const std::vector<Param> ps = weights(g);
  std::vector<Tensor> kept;
  for (const Param& p : ps) kept.push_back(p.value());
  for (int i = 0; i < 3; ++i) {
    for (const Tensor& t : kept) t.fill(0.1);
    check_alike(reads[size_t(i % 2)](g), want);
    step(g, sgd);
  }
  std::vector<float*> pointers;
  for (const Tensor& t : kept) pointers.push_back(t.data<float>());
  kept.clear();
  for (const Read& read : reads) {
    for (size_t k = 0; k < ps.size(); ++k)
      std::fill_n(pointers[k], ps[k].inner().value.elements(), 0.1f);
    check_alike(read(g), want);
  }
}

TEST_CASE("NaN and infinity under a mask are none of the network's") {
  for (const double wrong : {double(NAN), double(INFINITY), -0.0}) {
    Graph g = pruned();
    const auto want = g(ones).to_vector<float>();
    for (Param& p : weights(g)) {
      const auto keep = p.state().mask.to_vector<int>();
      for (size_t i = 0; i < keep.size(); ++i)
        if (!keep[i]) p.value().data<float>()[i] = float(wrong);
    }
    for (const Read& read : reads) check_alike(read(g), want);
    for (Param& p : weights(g))
      for (const float v : p.masked_value().to_vector<float>()) CHECK(std::isfinite(v));
  }
}

TEST_CASE("counts are of what masks keep, and a soft mask gives back what lies behind it") {
  Graph g = pruned();
  for (Param& p : weights(g)) p.value().fill(2);
  CHECK(summarize(g).nonzero == 24 + 12);
  Graph soft = pruned();
  for (Param& p : weights(soft)) {
    const Tensor mask = p.state().mask;
    p.set_mask(mask, MaskKind::soft);
    p.value().fill(0.1);
  }
  for (const Read& read : reads) check_alike(read(soft), expected(g, 0.1));
  CHECK(summarize(soft).nonzero == 24 + 12);
  for (Param& p : weights(soft)) {
    for (const float v : p.value().to_vector<float>()) CHECK(v == 0.1f);
    p.state().mask_kind = MaskKind::none;
  }
  CHECK(summarize(soft).nonzero == 48 + 24);
}

TEST_CASE("an optimizer's kept step and one of one's own leave no weights under the mask") {
  Param w(normals({64, 100}, 1)), b(Tensor::zeros({64}));
  std::vector<uint8_t> keep(6400);
  for (size_t i = 0; i < keep.size(); ++i) keep[i] = i % 10 == 0;
  w.set_mask(Tensor::from(keep, {64, 100}));
  REQUIRE(w.pattern().defined());
  Sgd sgd({{"w", w}, {"b", b}}, {.rate = 0.01});
  for (int i = 0; i < 3; ++i) {
    {
      Tape tape;
      tape.backward(dense(normals({32, 100}, 4), w(), b(), false), normals({32, 64}, 5));
    }
    CHECK(w.pattern_of_grad().defined());
    w.value().data<float>()[1] = 7;  // between the gradient and the step
    sgd.step();
    CHECK(w.inner().value.data<float>()[1] == 0);
  }
  const Param own(w.value().clone());
  own.state().mask = w.state().mask;
  own.state().mask_kind = MaskKind::frozen;
  for (int64_t i = 0; i < 6400; ++i) own.value().data<float>()[i] -= 0.5f;  // a rule of one's own
  const auto now = own().to_vector<float>();
  for (size_t i = 0; i < now.size(); ++i)
    if (!keep[i]) CHECK(now[i] == 0);
}
