// pare prune and pare sensitivity on networks that no training gives: layers without inputs or
// outputs, no weights, nothing left to prune, numbers that are none.
#include <fstream>
#include <limits>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

// Some pixels, from the `first` on, and dense layers of the given widths.
struct Odd : Module {
  explicit Odd(std::vector<int64_t> widths, int64_t pixels = 20, int64_t first = 400)
      : first_(first), pixels_(pixels) {
    int64_t in = pixels;
    for (const int64_t out : widths) {
      weights_.emplace_back(Tensor::full({out, in}, 0.1));
      biases_.emplace_back(Tensor::full({out}, 0.1), false);
      in = out;
    }
  }
  Tensor forward(const Tensor& images, Mode) override {
    Tensor x = slice(flatten(images), {0, first_}, {slice_to_end, first_ + pixels_}, {1, 1});
    for (size_t i = 0; i < weights_.size(); ++i)
      x = dense(x, weights_[i](), biases_[i](), i + 1 < weights_.size());
    return x;
  }
  void visit(Visitor& v) override {
    for (size_t i = 0; i < weights_.size(); ++i) {
      v("fc" + std::to_string(i + 1) + ".weight", weights_[i]);
      v("fc" + std::to_string(i + 1) + ".bias", biases_[i]);
    }
  }

 private:
  int64_t first_, pixels_;
  std::vector<Param> weights_, biases_;
};

// The same behind a factor a pixel, which pruning does not know.
struct Scaled : Odd {
  Scaled() : Odd({12, 10}, 784, 0) {}
  Tensor forward(const Tensor& images, Mode mode) override {
    return Odd::forward(flatten(images) * factor_(), mode);
  }
  void visit(Visitor& v) override {
    Odd::visit(v);
    v("factor", factor_);
  }

 private:
  Param factor_{Tensor::full({1, 784}, 1)};
};

void write_odd(const Folder& f, const char* name, Odd&& net) {
  Graph graph = capture(net, Tensor::zeros({1, 1, 28, 28}));
  graph.set_metadata("data", "mnist");
  save_graph(graph, (f.path / name).string());
}

template <class F>
void edit(const Folder& f, const char* from, const char* to, F&& change) {
  Graph graph = load_graph((f.path / from).string());
  for (auto& [name, param] : named_parameters(graph)) change(name, param);
  save_graph(graph, (f.path / to).string());
}

}  // namespace

TEST_CASE("networks with empty layers are pruned, trained and measured like others") {
  if (!have_tool()) return;
  const Folder f;
  write_odd(f, "no-outputs.pare", Odd({0, 6, 10}));
  write_odd(f, "no-inputs.pare", Odd({6, 10}, 0));
  for (const char* model : {"no-outputs.pare", "no-inputs.pare"})
    for (const char* how :
         {"--sparsity 0.5 --epochs 1", "--structure 4x1 --scope erk --sparsity 0.5 --epochs 0",
          "--structure 2:4 --epochs 0", "--method wanda --sparsity 0.5 --epochs 0",
          "--method synflow --sparsity 0.5 --epochs 0", "--structure channel --epochs 1",
          "--structure channel --method taylor --epochs 0",
          "--when gradual --sparsity 0.5 --epochs 1", "--when dynamic --sparsity 0.5 --epochs 1"}) {
      const std::string args = std::string("prune ") + model + " " + how + " --out p.pare";
      CAPTURE(args);
      result(f, args, {"accuracy_after", "latency_after_ms"});
      CHECK(run(f, "eval p.pare").code == 0);
    }
  for (const char* model : {"no-outputs.pare", "no-inputs.pare"}) {
    CHECK(result(f, std::string("sensitivity ") + model, {"layers"})["layers"].size() >= 1);
    CHECK(run(f, std::string("bench ") + model).code == 0);
  }
}

TEST_CASE("a network of which everything is pruned already stays as it is") {
  if (!have_tool()) return;
  const Folder f;
  write_odd(f, "m.pare", Odd({12, 10}));
  edit(f, "m.pare", "gone.pare", [](const std::string&, Param& p) {
    if (p.value().rank() == 2) p.set_mask(Tensor::zeros(p.value().shape(), DType::u8));
  });
  for (const char* how : {"--sparsity 0.5 --epochs 1", "--structure 4x1 --scope erk --epochs 0",
                          "--structure 2:4 --epochs 0", "--method fisher --epochs 0"}) {
    CAPTURE(how);
    const json j = result(f, std::string("prune gone.pare ") + how + " --out p.pare", {});
    CHECK(j["sparsity_achieved"] == 1);
    CHECK(j["nonzero_after"].get<int>() <= 22);  // biases
  }
  CHECK(run(f, "prune gone.pare --structure channel --epochs 0 --out p.pare").code == 0);
  CHECK(run(f, "sensitivity gone.pare").code == 0);
  check_mistake(f, {"prune gone.pare --sparsity 1", 1, "no layer is emptied"});
  check_mistake(f, {"prune gone.pare --when gradual --epochs 1", 1,
                    "rise to 0.9, but 100.00 % of the weights of gone.pare are gone already"});
}

TEST_CASE("what cannot be pruned is named, and nothing is written") {
  if (!have_tool()) return;
  const Folder f;
  write_odd(f, "none.pare", Odd({}, 10));
  write_odd(f, "m.pare", Odd({12, 10}));
  const auto spoil = [&](const char* to, float value) {
    edit(f, "m.pare", to, [&](const std::string& name, Param& p) {
      if (name == "fc1.weight") p.value().data<float>()[7] = value;
    });
  };
  spoil("nan.pare", std::numeric_limits<float>::quiet_NaN());
  spoil("inf.pare", std::numeric_limits<float>::infinity());
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out mlp.pare").code == 0);
  REQUIRE(run(f, "prune mlp.pare --structure channel --epochs 0 --out narrow.pare").code == 0);
  REQUIRE(run(f, "prune mlp.pare --sparsity 0.95 --epochs 0 --out few.pare").code == 0);
  const Mistake cases[] = {
      {"prune none.pare --out p.pare", 2, "no weights to prune"},
      {"prune none.pare --method wanda --out p.pare", 2, "no weights to prune"},
      {"prune none.pare --method synflow --out p.pare", 2, "no weights to prune"},
      {"prune none.pare --structure channel --out p.pare", 2, "no channels that can go"},
      {"prune none.pare --structure channel --method taylor --out p.pare", 2,
       "no channels that can go"},
      {"sensitivity none.pare --svg s.svg", 2, "no weights to prune"},
      {"prune nan.pare --out p.pare", 2, "'fc1.weight' holds values that are not finite"},
      {"prune inf.pare --structure 4x1 --out p.pare", 2,
       "'fc1.weight' holds values that are not finite"},
      {"prune nan.pare --structure channel --out p.pare", 2,
       "'fc1.weight' holds values that are not finite"},
      {"sensitivity nan.pare --svg s.svg", 2, "'fc1.weight' holds values that are not finite"},
      {"prune narrow.pare --when lottery --out p.pare", 2, "no longer has the layers of a new mlp"},
      {"prune few.pare --when gradual --out p.pare", 1, "95.00 % of the weights of few.pare are"},
      {"prune m.pare --structure channel --widths -1 --out p.pare", 1, "a width of -1 for 'fc1'"},
      {"prune m.pare --structure channel --floor nan --out p.pare", 1, "a finite number"},
      {"prune m.pare --structure channel --round-to 1000 --out p.pare", 1, "fc1 12"},
      {"prune m.pare --structure 99999999999x1 --out p.pare", 1, "is no structure"},
      {"prune m.pare --when gradual --ramp-begin nan --out p.pare", 1, "a finite number"},
      {"prune m.pare --when dynamic --fraction nan --epochs 1 --out p.pare", 1, "a finite number"},
      {"sensitivity m.pare --sparsities nan", 1, "a finite number"},
      {"sensitivity m.pare --structure channel", 1, "pare prune removes channels"},
  };
  for (const Mistake& m : cases) {
    check_mistake(f, m);
    CHECK_FALSE(fs::exists(f.path / "p.pare"));
    CHECK_FALSE(fs::exists(f.path / "s.svg"));
  }
}

TEST_CASE("notes say what a structure leaves, and the file what was done") {
  if (!have_tool()) return;
  const Folder f;
  write_odd(f, "m.pare", Odd({12, 10}, 21));
  write_odd(f, "scaled.pare", Scaled());
  const auto told = [&](const std::string& args, const char* note) {
    const Outcome o = run(f, args + " --epochs 0 --out p.pare", true);
    CAPTURE(o.out);
    CHECK(o.code == 0);
    CHECK(o.out.find(note) != std::string::npos);
    return json::parse(load_graph((f.path / "p.pare").string()).get_metadata("history")).back();
  };
  const json pattern =
      told("prune m.pare --structure 2:4",
           "'fc1.weight' has 21 columns, no multiple of 4: the last 1 of a row keep 1");
  CHECK(pattern["did"] == "prune");
  CHECK(pattern["structure"] == "2:4");
  const json by_share =
      told("prune scaled.pare --method random --sparsity 0.8", "note: 'factor' stays dense");
  CHECK(by_share["method"] == "random");
  CHECK(by_share["sparsity"] == 0.8);
  CHECK(told("prune m.pare --structure channel --widths 5", "5 of    12 channels kept")["widths"] ==
        json::array({5}));
  CHECK(told("prune m.pare --structure channel --macs 0.5", "channels kept")["macs"] == 0.5);
  // The trial of a cut at once leaves the network whole.
  REQUIRE(run(f, "prune m.pare --when gradual --epochs 4 --every 2 --out g.pare").code == 0);
  std::ifstream log(f.path / "g.pare.csv");
  std::string epoch;
  std::getline(log, epoch), std::getline(log, epoch);
  CHECK(std::stod(epoch.substr(epoch.rfind(',') + 1)) < 0.8);
  CHECK(told("prune m.pare --when iterative --rounds 2", "of the weights are gone")["rounds"] == 2);
}
