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

TEST_CASE("a layer that did not get faster is told what runs at that batch, not at others") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  for (const char* share : {"0.5", "0.7", "0.8"}) {
    const Outcome o = run(f, std::string("prune m.pare --epochs 0 --sparsity ") + share);
    REQUIRE(o.code == 0);
    // The plan's account, which follows the reasons, has all batches.
    const std::string reasons = o.out.substr(0, o.out.find("the plan:"));
    CAPTURE(reasons);
    CHECK(reasons.find("batch 64: ") != std::string::npos);
    CHECK(reasons.find("by batch, 1") == std::string::npos);
  }
}

TEST_CASE("what was asked for and what came of it are told apart") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  const auto achieved = [](const json& j) { return j["sparsity_achieved"].get<double>(); };
  // Channels that are rounded come as near as their multiples allow, or the difference is told.
  const std::string channels = "prune m.pare --structure channel --epochs 0 --out c.pare ";
  for (const char* round_to : {"8", "16"}) {
    const json j = result(f, channels + "--round-to " + round_to, {});
    CAPTURE(j.dump());
    CHECK(j["sparsity"] == 0.5);
    CHECK(std::abs(achieved(j) - 0.5) <= 0.5 * std::stod(round_to) / 400 + 1e-9);
    int64_t before = 0, after = 0;
    for (const json& g : j["groups"]) {
      before += g["before"].get<int64_t>();
      after += g["after"].get<int64_t>();
    }
    CHECK(achieved(j) == doctest::Approx(1 - double(after) / double(before)));
  }
  const std::string coarse = run(f, channels + "--round-to 128", true).out;
  CHECK(coarse.find("of the channels are gone, 50.00 % were asked for: nothing nearer is a "
                    "multiple of 128 in every group") != std::string::npos);
  CHECK(run(f, channels + "--round-to 8", true).out.find("were asked for") == std::string::npos);
  // Other requests are no sparsity.
  const json macs = result(f, channels + "--macs 0.5", {"sparsity"});
  CHECK(macs["sparsity"].is_null());
  CHECK(macs["macs"] == 0.5);
  CHECK(achieved(macs) > 0.2);
  const json widths = result(f, channels + "--widths 100,100", {"sparsity"});
  CHECK(widths["sparsity"].is_null());
  CHECK(widths["widths"] == json::array({100, 100}));
  CHECK(achieved(widths) == doctest::Approx(0.5));
  // A file that is sparser already.
  REQUIRE(run(f, "prune m.pare --epochs 0 --out p.pare").code == 0);
  const Outcome less = run(f, "prune p.pare --sparsity 0.5 --epochs 0 --out q.pare", true);
  CHECK(less.out.find("note: nothing was removed: 90.00 % of the weights were gone already, "
                      "50.00 % are asked for") != std::string::npos);
  CHECK(run(f, "prune p.pare --sparsity 0.95 --epochs 0 --out q.pare", true)
            .out.find("note: nothing was removed") == std::string::npos);
  CHECK(run(f, "prune m.pare --sparsity 0 --epochs 0 --out q.pare", true)
            .out.find("note: nothing was removed") == std::string::npos);
}

TEST_CASE("blocks that do not divide a layer are noted, as runs of N:M are") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 0 --out m.pare").code == 0);
  const auto told = [&](const std::string& structure) {
    return run(f, "prune m.pare --epochs 0 --out p.pare --structure " + structure, true).out;
  };
  const std::string tall = told("4x1"), wide = told("1x8");
  CHECK(tall.find("note: 'fc3.weight' has 10 rows, no multiple of 4: its last blocks have 2") !=
        std::string::npos);
  CHECK(tall.find("columns, no multiple") == std::string::npos);
  CHECK(wide.find("note: 'fc2.weight' has 300 columns, no multiple of 8: the last blocks of a row "
                  "have 4") != std::string::npos);
  CHECK(told("1x4").find("no multiple") == std::string::npos);
}

TEST_CASE("sensitivity draws what was reached, and says which structures it covers") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  const std::string scan = "sensitivity m.pare --images 60 --structure 64x64 ";
  const json j = result(f, scan + "--sparsities 0.5,1", {"layers"});
  // fc3 has 10 x 100 weights: a block of 64 columns and one of 36. One stays.
  const json& last = j["layers"][2];
  CHECK(last["sparsities"][1].get<double>() <= 0.64 + 1e-9);
  CHECK(last["tolerated"].get<double>() <= 0.64 + 1e-9);
  CHECK(j["layers"][0]["sparsities"][1].get<double>() > 0.95);
  CHECK(run(f, scan + "--sparsities 0.5,1").out.find(" % of zeros where 100 % were asked for") !=
        std::string::npos);
  for (const char* structure : {"channel", "block"})
    check_mistake(f, {("sensitivity m.pare --structure " + std::string(structure)).c_str(), 1,
                      "pare prune removes channels and blocks of layers"});
  const std::string help = run(f, "sensitivity --help").out;
  CHECK(help.find("as pare prune has it") == help.rfind("as pare prune has it"));
}
