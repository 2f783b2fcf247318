// What pare prune says of a run: its control, what was asked for and what came of it, its notes.
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

TEST_CASE("the control learns by the network's own recipe, whatever the fine-tuning's options") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 2 --out m.pare").code == 0);
  const auto control = [&](const std::string& args) {
    return result(f, "prune " + args + " --control scratch --out p.pare", {"control"})["control"];
  };
  const json plain = control("m.pare --epochs 1");
  CHECK(plain["rate"] == 0.001);
  CHECK(plain["optimizer"] == "adamw");
  CHECK(plain["epochs"] == 3);
  CHECK(control("m.pare --epochs 1 --lr 0.00001 --optim sgd --schedule constant --batch 500 "
                "--average 0.999") == plain);
  const json own = control("m.pare --epochs 1 --lr 0.00001 --control-lr 0.002");
  CHECK(own["rate"] == 0.002);
  CHECK(own["accuracy"] != plain["accuracy"]);
  // A network that learns while it is pruned has its earlier epochs, too.
  const json gradual = control("m.pare --when gradual --every 5 --epochs 2 --lr 0.00001");
  CHECK(gradual["rate"] == 0.001);
  CHECK(gradual["epochs"] == 4);
  // One that began with fresh weights is the model for its control.
  const json fresh = control("mlp --data mnist --when init --epochs 1 --lr 0.002 --optim sgd");
  CHECK(fresh["rate"] == 0.002);
  CHECK(fresh["optimizer"] == "sgd");
  CHECK(fresh["epochs"] == 1);
  const std::string told = run(f, "prune m.pare --epochs 1 --lr 0.5 --control scratch", true).out;
  CHECK(told.find("masks, 3 epochs, adamw at rate 0.001\n") != std::string::npos);
  CHECK(told.find("under the same masks, 3 epochs, adamw at rate 0.001: ") != std::string::npos);
  check_mistake(f, {"prune m.pare --control-lr 0.1", 1, "without --control scratch"});
}
