// What pare prune refuses before it computes anything: files that it would lose, options that its
// trainings cannot have, networks that have nothing to go back to.
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

TEST_CASE("no file that a command reads is overwritten by what stands beside its output") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out run.pare").code == 0);
  const auto copy = [&](const char* from, const char* to) {
    fs::copy(f.path / from, f.path / to, fs::copy_options::overwrite_existing);
  };
  copy("run.pare", "m.pare");
  copy("run.pare", "out.csv");
  copy("run.pare", "a-scratch.pare.ckpt");
  copy("run.pare", "a-scratch.pare");
  const char* inputs[] = {"run.pare.ckpt", "m.pare", "out.csv", "a-scratch.pare.ckpt",
                          "a-scratch.pare"};
  std::vector<std::vector<uint8_t>> before;
  for (const char* input : inputs) before.push_back(bytes_of(f.path / input));
  const Mistake cases[] = {
      {"prune run.pare.ckpt --out run.pare --epochs 1", 1,
       "the checkpoint of --out would overwrite run.pare.ckpt"},
      {"prune ./run.pare.ckpt --out run.pare --epochs 0", 1, "the checkpoint of --out"},
      {"prune out.csv --out out --epochs 1", 1, "the log of --out would overwrite"},
      {"prune m.pare --teacher run.pare.ckpt --out run.pare --epochs 1", 1, "the checkpoint of"},
      {"prune m.pare --teacher out.csv --out out --epochs 1", 1, "the log of --out"},
      {"prune a-scratch.pare.ckpt --control scratch --out a.pare --epochs 1", 1,
       "the checkpoint of --control scratch would overwrite a-scratch.pare.ckpt"},
      {"prune m.pare --teacher a-scratch.pare --control scratch --out a.pare --epochs 1", 1,
       "--control scratch would overwrite the teacher a-scratch.pare"},
      {"train run.pare.ckpt --out run.pare --epochs 1", 1, "the checkpoint of --out"},
      {"train mlp --data mnist --teacher out.csv --out out --epochs 1", 1, "the log of --out"},
      {"distill mlp --teacher run.pare.ckpt --out run.pare --epochs 1", 1, "the checkpoint of"},
      {"train --resume run.pare.ckpt --out run.pare.ckpt", 1, "--out would overwrite"},
  };
  for (const Mistake& c : cases) {
    check_mistake(f, c);
    for (size_t i = 0; i < before.size(); ++i) CHECK(bytes_of(f.path / inputs[i]) == before[i]);
  }
  // The input itself may be replaced, and a checkpoint may be pruned to another name.
  CHECK(run(f, "prune m.pare --out m.pare --epochs 1").code == 0);
  CHECK(run(f, "prune run.pare.ckpt --out other.pare --epochs 1").code == 0);
  CHECK(bytes_of(f.path / "run.pare.ckpt") == before[0]);
  // A point in the name of a folder is none of a file's ending.
  fs::create_directory(f.path / "runs.pare");
  CHECK(run(f, "prune m.pare --out runs.pare/x --epochs 1 --control scratch").code == 0);
  CHECK(fs::exists(f.path / "runs.pare/x-scratch.pare"));
  // A resumed training with a teacher spares that, too.
  REQUIRE(run(f, "train mlp --data mnist --teacher out.csv --epochs 1 --out t.pare").code == 0);
  check_mistake(f, {"train --resume t.pare.ckpt --out out", 1, "the log of --out"});
}

TEST_CASE("options that no training can have are told before anything is pruned") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  const Mistake cases[] = {
      {"prune m.pare --optim foo", 1, "foo"},
      {"prune m.pare --optim foo --epochs 0", 1, "foo"},
      {"prune m.pare --lr -1", 1, "learning rate -1"},
      {"prune m.pare --momentum 2 --optim sgd", 1, "momentum"},
      {"prune m.pare --clip -1", 1, "clip -1"},
      {"prune m.pare --schedule foo", 1, "foo"},
      {"prune m.pare --warmup -1", 1, "warmup -1"},
      {"prune m.pare --augment foo", 1, "foo"},
      {"prune m.pare --holdout 1", 1, "holdout 1"},
      {"prune m.pare --epochs -1", 1, "epochs -1"},
      {"prune m.pare --average 2", 1, "average"},
      {"prune m.pare --when dynamic --fraction 0", 1, "fraction"},
      {"prune m.pare --when gradual --average 2", 1, "average"},
      {"prune m.pare --structure channel --optim foo", 1, "foo"},
      {"prune mlp --data mnist --when lottery --epochs 1 --rewind 9999", 1, "9999"},
      {"prune m.pare --teacher nofile.pare", 2, "nofile.pare"},
      {"prune m.pare --teacher m.pare --alpha 2 --out x.pare", 1, "--alpha 2"},
      {"prune m.pare --norm-penalty 1e-4", 1, "no batch norms"},
      {"prune m.pare --control scratch --control-lr -1", 1, "learning rate -1"},
  };
  for (const Mistake& c : cases) {
    check_mistake(f, c);
    const Outcome o = run(f, c.args, true);
    CHECK(o.out.find("are gone") == std::string::npos);
    CHECK(o.out.find("kept") == std::string::npos);
    CHECK(o.out.find("after pruning") == std::string::npos);
  }
}

TEST_CASE(
    "a network whose channels or blocks went has no initial weights, and is told so at once") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  REQUIRE(run(f, "prune m.pare --structure channel --epochs 0 --out c.pare").code == 0);
  REQUIRE(run(f, "train resnet20 --data mnist --epochs 0 --out r.pare").code == 0);
  REQUIRE(run(f, "prune r.pare --structure block --sparsity 0.9 --epochs 0 --out b.pare").code ==
          0);
  REQUIRE(run(f, "train b.pare --epochs 1 --batch 500 --out t.pare").code == 0);
  for (const char* args :
       {"prune c.pare --when lottery --epochs 1", "prune c.pare --when init --epochs 1",
        "prune t.pare --when lottery --epochs 1"}) {
    CAPTURE(args);
    const Outcome o = run(f, args, true);
    CAPTURE(o.out);
    CHECK(o.code == 2);
    CHECK(o.out.find("channels or blocks were pruned") != std::string::npos);
    CHECK(o.out.find("name the model instead of the file") != std::string::npos);
    CHECK(o.out.find("are gone") == std::string::npos);
  }
  CHECK(run(f, "prune c.pare --when lottery --epochs 1", true).out.find("'fc1.weight' of") !=
        std::string::npos);
  CHECK(run(f, "prune t.pare --when lottery --epochs 1", true)
            .out.find("parameters where that has") != std::string::npos);
}

TEST_CASE("a network of integers is told why it cannot be pruned") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  REQUIRE(run(f, "quantize m.pare --out m8.pare").code == 0);
  for (const char* args : {"prune m8.pare --epochs 0", "sensitivity m8.pare"}) {
    const Outcome o = run(f, args, true);
    CAPTURE(args);
    CAPTURE(o.out);
    CHECK(o.code == 2);
    CHECK(o.out.find("m8.pare is an integer network: 'fc1/dense'") != std::string::npos);
  }
}
