// Model files that are not fit for what is asked of them: weights that give no finite answers,
// integers, weights of unknown origin.
#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

TEST_CASE("a network that answers with NaN gives no accuracy and no class, in any command") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 0 --out m.pare").code == 0);
  Graph g = load_graph((f.path / "m.pare").string());
  for (auto& [name, p] : named_parameters(g))
    if (p.value().rank() == 2) p.value().copy_from(mul_scalar(p.value(), 1e19));
  save_graph(g, (f.path / "nan.pare").string());
  REQUIRE(run(f, "data show mnist --count 1 --out digit.png").code == 0);
  const char* layer = "'fc3/dense' that is the first to give values that are not finite";
  for (const Mistake& m : std::initializer_list<Mistake>{
           {"eval nan.pare", 2, layer},
           {"bench nan.pare", 2, layer},
           {"predict nan.pare digit.png", 2, layer},
           {"predict nan.pare digit.png digit.png", 2, "digit.png: the network answers with"},
           {"quantize nan.pare --out q.pare", 2, layer},
           {"prune nan.pare --epochs 0 --out p.pare", 2, layer},
           {"sensitivity nan.pare", 2, layer},
           {"distill mlp --teacher nan.pare --epochs 1 --out s.pare", 2, layer},
           {"train mlp --data mnist --teacher nan.pare --epochs 1 --out s.pare", 2, "the teacher"},
           {"train nan.pare --epochs 1 --out t.pare", 3, "training cannot begin"}})
    check_mistake(f, m);
  for (const char* out : {"q.pare", "p.pare", "s.pare", "t.pare"}) CHECK(!fs::exists(f.path / out));
}

TEST_CASE("integers are not trained, pruned or quantized again; a distilled file is no ticket") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  REQUIRE(run(f, "quantize m.pare --images 200 --out i.pare").code == 0);
  for (const char* command : {"train", "prune", "quantize", "sensitivity"})
    check_mistake(f,
                  {(std::string(command) + " i.pare").c_str(), 2, "i.pare is an integer network"});
  REQUIRE(run(f, "distill mlp --teacher i.pare --epochs 1 --out d.pare").code == 0);
  const Outcome back =
      run(f, "prune d.pare --when init --method snip --epochs 1 --out p.pare", true);
  CHECK(back.out.find("d.pare is trained: it goes back to its initial weights") !=
        std::string::npos);
  Graph g = load_graph((f.path / "d.pare").string());
  g.set_metadata("history", "");  // as older versions left it
  save_graph(g, (f.path / "old.pare").string());
  for (const char* when : {"init", "lottery"})
    check_mistake(f, {(std::string("prune old.pare --epochs 1 --when ") + when).c_str(), 2,
                      "does not say whether its weights are initial or trained"});
  const Outcome control = run(
      f, "prune old.pare --when gradual --epochs 1 --control scratch --sparsity 0.5 --out c.pare",
      true);
  CHECK(control.out.find("does not say how long it was trained") != std::string::npos);
}
