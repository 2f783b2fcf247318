// Numbers that are not finite: whoever reads answers refuses them and names the layer.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "autograd/blame.h"
#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "optim/trainer.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;

namespace {

constexpr float inf = INFINITY;

Param parameter(Graph& graph, const std::string& name) {
  for (auto& [known, p] : named_parameters(graph))
    if (known == name) return p;
  FAIL("no parameter ", name);
  return {};
}

TrainOptions once() {
  TrainOptions o;
  o.epochs = 1;
  o.quiet = true;
  return o;
}

Evaluation on_test(Graph& graph) {
  return evaluate(graph, quarters().test, quarters().preprocessing);
}

// The error that f throws; its code must be that.
template <class F>
std::string error_of(ErrorCode code, F&& f) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(e.code() == code);
    return e.what();
  }
  FAIL_CHECK("nothing was thrown");
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("evaluation refuses weights that have grown out of range and names the layer") {
  Graph g = quarters_graph();
  for (auto& [name, p] : named_parameters(g))
    if (p.value().rank() == 2) p.value().copy_from(mul_scalar(p.value(), 3e19));
  const std::string text = error_of(ErrorCode::bad_input, [&] { on_test(g); });
  CHECK(contains(text, "'fc2/dense' that is the first to give values that are not finite"));
  CHECK(contains(text, "images 0 to 199"));
}

TEST_CASE("evaluation refuses parameters that are not finite, also where the answers hide them") {
  for (const float wrong : {NAN, inf, -inf})
    for (const char* name : {"fc1.weight", "fc1.bias", "fc2.bias"}) {
      CAPTURE(wrong);
      Graph g = quarters_graph();
      parameter(g, name).value().data<float>()[1] = wrong;  // ReLU turns -inf into 0
      CHECK(contains(error_of(ErrorCode::bad_input, [&] { on_test(g); }), name));
      CHECK(not_finite_in(g) == name);
    }
  Graph g = quarters_graph();
  CHECK(not_finite_in(g) == "");
  CHECK(std::isfinite(on_test(g).loss));
}

TEST_CASE("statistics of batch norms count, infinite ones too") {
  Sequential net;
  net.add<Flatten>("flatten").add<Dense>("fc", 256, 4).add<BatchNorm2d>("norm", 4);
  initialize(net, 1);
  Graph g = capture(net, Tensor::zeros({1, 1, 16, 16}));
  for (const char* name : {"norm.running_mean", "norm.running_variance"})
    for (const float wrong : {NAN, inf}) {
      Graph broken = g.clone();
      for (auto& [known, b] : named_buffers(broken))
        if (known == name) b.value().data<float>()[2] = wrong;
      CHECK(contains(error_of(ErrorCode::bad_input, [&] { on_test(broken); }), name));
    }
}

TEST_CASE("a logit that is not finite counts even where loss and class hide it") {
  for (const float wrong : {NAN, inf, -inf}) {
    Tensor logits = Tensor::zeros({2, 3}), labels = Tensor::zeros({2}, DType::i32);
    CHECK(count_correct(logits, labels).item() == 2);
    logits.data<float>()[4] = wrong;
    CHECK(std::isnan(count_correct(logits, labels).item()));
  }
}

TEST_CASE("a run that diverges in an epoch's last step is told, and nothing of it is saved") {
  const std::string out =
      std::filesystem::temp_directory_path() / ("pare last " + std::to_string(::getpid()));
  for (const double holdout : {0.0, 0.1})
    for (const double rate : {1e30, 1e7})  // infinite weights; ones that are large beyond all hope
      for (const int loss : {0, 1, 2}) {
        CAPTURE(holdout);
        CAPTURE(rate);
        CAPTURE(loss);
        TrainOptions o = once();
        o.batch = 200;
        o.holdout = holdout;
        o.out = out;
        o.optimizer = {.name = "sgd", .rate = rate};
        o.schedule = ScheduleKind::constant;
        Graph g = quarters_graph();
        Trainer trainer(g, quarters(), o);
        REQUIRE(trainer.steps() == 1);
        if (loss > 0)
          trainer.set_loss(
              [](const Tensor& y, const Batch& b) { return softmax_cross_entropy(y, b.labels); },
              loss == 1);
        if (loss == 2 && rate == 1e7) continue;  // only the loss could tell, which may have a state
        const std::string text = error_of(ErrorCode::diverged, [&] { trainer.run(); });
        CHECK(contains(text, "in the last step of epoch 1"));
        CHECK(contains(text, "'fc"));
        CHECK(!std::filesystem::exists(out));
        CHECK(!std::filesystem::exists(out + ".ckpt"));
      }
}

TEST_CASE("a loss of minus infinity is no loss, and a network that begins with NaN is told so") {
  Graph g = quarters_graph();
  const auto before = values_of(g);
  const TrainOptions o = once();
  for (const double wrong : {double(NAN), double(INFINITY), -double(INFINITY)}) {
    Trainer trainer(g, quarters(), o);
    trainer.set_loss([&](const Tensor& y, const Batch& b) {
      return add(softmax_cross_entropy(y, b.labels), Tensor::full({}, wrong));
    });
    error_of(ErrorCode::diverged, [&] { trainer.run(); });
    CHECK(values_of(g) == before);
  }
  parameter(g, "fc1.weight").value().data<float>()[7] = NAN;
  const std::string text = error_of(ErrorCode::diverged, [&] { Trainer(g, quarters(), o).run(); });
  CHECK(contains(text, "training cannot begin"));
  CHECK(contains(text, "'fc1.weight' holds such values itself"));
}

TEST_CASE("hooks put the network back where its evaluation fails") {
  struct Spoil : TrainHook {
    std::vector<std::string>& calls;
    std::string name;
    Tensor kept;
    Spoil(std::vector<std::string>& log, std::string n) : calls(log), name(std::move(n)) {}
    void before_evaluation(Graph& graph) override {
      Tensor bias = parameter(graph, "fc1.bias").value();
      kept = bias.clone();
      bias.fill(NAN);
      calls.push_back("spoil " + name);
    }
    void after_evaluation(Graph& graph) override {
      parameter(graph, "fc1.bias").value().copy_from(kept);
      calls.push_back("restore " + name);
    }
  };
  std::vector<std::string> calls;
  Graph g = quarters_graph();
  Trainer trainer(g, quarters(), once());
  for (const char* name : {"a", "b"}) trainer.add(std::make_shared<Spoil>(calls, name));
  CHECK(contains(error_of(ErrorCode::diverged, [&] { trainer.run(); }), "fc1.bias"));
  CHECK(calls == std::vector<std::string>{"spoil a", "spoil b", "restore b", "restore a"});
  CHECK(not_finite_in(g) == "");
}
