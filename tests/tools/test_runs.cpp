// The files of a run as a user meets them: what no command replaces, runs beside each other, runs
// that are stopped and go on by the command that the message names.
#include "autograd/graph_file.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

const std::string small = " --data mnist --batch 256 --threads 1 --quiet ";

// Starts `command`, which writes OUT, in the background as $pid, and waits for its first epoch.
std::string start(const std::string& command, const std::string& out) {
  return "\"$PARE_TOOL\" " + command + small + "--epochs 100000 --out " + out +
         " >/dev/null 2>said & pid=$!; while [ ! -e " + out +
         ".csv ] && kill -0 $pid; do sleep 0.01; done; ";
}

}  // namespace

TEST_CASE("no output of any command replaces an input or what is none of its kind") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --epochs 1 --out m.pare" + small).code == 0);
  fs::copy(f.path / "mnist/t10k-labels-idx1-ubyte", f.path / "notes.txt");
  fs::create_hard_link(f.path / "m.pare", f.path / "same.pare");
  const char* const labels = "mnist/t10k-labels-idx1-ubyte";
  const std::string to_labels = std::string(" --out ") + labels;
  fs::copy(f.path / "m.pare", f.path / "x-scratch.pare");
  const char* inputs[] = {labels,   "notes.txt",   "x-scratch.pare",
                          "m.pare", "m.pare.ckpt", "m.pare.csv"};
  std::vector<std::vector<uint8_t>> before;
  for (const char* input : inputs) before.push_back(bytes_of(f.path / input));
  const std::string commands[] = {
      "train mlp --epochs 1 --force" + small + to_labels,
      "train m.pare --epochs 1 --force" + small + to_labels,
      "train mlp --epochs 0 --force" + small + to_labels,
      "train mlp --epochs 1 --out m.pare.ckpt" + small,
      "train mlp --epochs 1 --out notes.txt" + small,
      "train mlp --epochs 1 --teacher m.pare --out same.pare --force" + small,
      "distill mlp --teacher m.pare --epochs 1 --force" + small + to_labels,
      "prune m.pare --epochs 0 --force" + to_labels,
      "prune m.pare --epochs 0 --out m.pare.csv",
      "prune x-scratch.pare --epochs 0 --control scratch --force --out x.pare",
      "quantize m.pare --force" + to_labels,
      "quantize m.pare --out notes.txt",
      "sensitivity m.pare --images 50 --svg m.pare",
      "sensitivity m.pare --images 50 --svg m.pare.ckpt",
      std::string("sensitivity m.pare --images 50 --svg ") + labels,
      "summary m.pare --dot same.pare",
      "summary m.pare --dot m.pare.csv",
      "data show mnist" + to_labels,
      "data show mnist --out notes.txt",
  };
  for (const std::string& command : commands) {
    CAPTURE(command);
    const Outcome o = run(f, command, true);
    CAPTURE(o.out);
    CHECK(o.code == 1);
    for (size_t i = 0; i < before.size(); ++i) CHECK(bytes_of(f.path / inputs[i]) == before[i]);
  }
  CHECK(run(f, "quantize m.pare --out notes.txt --force").code == 0);
  // What may be forced, and by what, is said where it is so.
  for (const char* command : {"sensitivity m.pare --svg ", "summary m.pare --dot ",
                              "data show mnist --out ", "predict m.pare x.png --show "})
    CHECK(run(f, std::string(command) + "m.pare.csv", true).out.ends_with("; name another file\n"));
  CHECK(run(f, "quantize m.pare --out m.pare.csv", true).out.ends_with("or give --force\n"));
  // Its own kind, as pare writes it, each command replaces.
  for (const char* command :
       {"sensitivity m.pare --images 50 --sparsities 0.5 --svg s.svg", "summary m.pare --dot s.dot",
        "data show mnist --count 1 --out s.png", "train mlp --images 50 --epochs 1 --out s.pare"})
    for (int i = 0; i < 2; ++i) CHECK(run(f, command).code == 0);
}

TEST_CASE("a trained network is not replaced by one that is not, unless that is forced") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --epochs 1 --out m.pare" + small).code == 0);
  REQUIRE(run(f, "train mlp --epochs 0 --out u.pare" + small).code == 0);
  const auto trained = bytes_of(f.path / "m.pare");
  for (const std::string& command :
       {"train lenet5 --epochs 0 --out m.pare" + small, "prune mlp --epochs 0 --out m.pare" + small,
        "prune u.pare --epochs 0 --out m.pare" + small,
        std::string("quantize u.pare --out m.pare --data mnist")}) {
    CAPTURE(command);
    const Outcome o = run(f, command, true);
    CAPTURE(o.out);
    CHECK(o.code == 1);
    CHECK(o.out.find("--force") != std::string::npos);
    CHECK(bytes_of(f.path / "m.pare") == trained);
  }
  CHECK(run(f, "train mlp --epochs 0 --seed 2 --out u.pare" + small).code == 0);
  CHECK(run(f, "train mlp --epochs 1 --out m.pare" + small).code == 0);  // trained again
  CHECK(run(f, "train mlp --epochs 0 --out m.pare --force" + small).code == 0);
  CHECK(bytes_of(f.path / "m.pare") != trained);
}

TEST_CASE("a run keeps its files to itself; stopped, it is not lost to the next one") {
  if (!have_tool()) return;
  const Folder f;
  const Outcome o = shell(
      f, start("train mlp", "r.pare") + "pare train mlp --epochs 1 --out ./r.pare" + small +
             "; echo new $?; " + "pare train --resume r.pare.ckpt --quiet; echo resumed $?; " +
             "pare train mlp --epochs 1 --force --out r.pare" + small + "; echo forced $?; " +
             "pare train mlp --epochs 1 --out other.pare" + small + "; echo other $?; " +
             "kill -9 $pid; wait $pid; ls -A; " + "pare train mlp --epochs 1 --out r.pare" + small +
             "; echo after $?; " +
             "pare quantize other.pare --out r.pare --data mnist; echo quantized $?; " +
             "pare train mlp --epochs 1 --force --out r.pare" + small + "; echo lost $?");
  CAPTURE(o.out);
  for (const char* line : {"new 1", "resumed 1", "forced 1", "other 0", "after 1", "quantized 1",
                           "lost 0", "another run is writing it", "holds a run that was stopped"})
    CHECK(o.out.find(line) != std::string::npos);
  CHECK(o.out.find("lock") == std::string::npos);
}

TEST_CASE("the message of a stopped run names a command that goes on with it") {
  if (!have_tool()) return;
  const Folder f;
  fs::create_directory(f.path / "a b");
  fs::rename(f.path / "mnist", f.path / "a b/mnist");
  REQUIRE(run(f, "train mlp --epochs 1 --data-dir 'a b' --out t.pare" + small).code == 0);
  for (const char* command :
       {"train mlp --data-dir 'a b'", "distill mlp --teacher t.pare --data-dir 'a b'",
        "prune t.pare --sparsity 0.5 --data-dir 'a b'"}) {
    CAPTURE(command);
    const Outcome o =
        shell(f, "rm -f s.pare*; " + start(command, "s.pare") +
                     "kill -INT $pid; wait $pid; echo stopped $?; cat said; rm s.pare.csv; "
                     "line=$(sed -n 's/.*go on with: pare //p' said); "
                     "eval \"exec \\\"$PARE_TOOL\\\" $line --quiet\" >/dev/null 2>said & pid=$!; "
                     "for i in $(seq 500); do [ -e s.pare.csv ] && break; sleep 0.01; done; "
                     "[ -e s.pare.csv ] && echo went on; kill -INT $pid; wait $pid; cat said");
    CAPTURE(o.out);
    CHECK(o.out.find("stopped 130") != std::string::npos);
    CHECK(o.out.find("went on") != std::string::npos);
  }
}

TEST_CASE("a finished run says so, and takes more epochs") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --epochs 2 --out m.pare" + small).code == 0);
  const auto says = [&](const std::string& args, int code, const char* text) {
    CAPTURE(args);
    const Outcome o = run(f, "train --resume m.pare.ckpt --threads 1 " + args, true);
    CAPTURE(o.out);
    CHECK(o.code == code);
    CHECK(o.out.find(text) != std::string::npos);
  };
  says("", 0, "m.pare.ckpt is finished: it has its 2 epochs");
  says("--epochs 2", 1, "has 2 epochs already");
  says("--epochs 4", 0, "not the run of 4 epochs");
  says("--epochs 4 --lr 1", 1, "--lr");
  says("", 0, "it has its 4 epochs");
  // Other labels under the same name.
  REQUIRE(run(f, "prune m.pare --epochs 1 --out p.pare" + small).code == 0);
  const auto other_labels = [&](const char* name) {
    auto bytes = bytes_of(f.path / name);
    for (size_t i = 8; i < bytes.size(); ++i) bytes[i] = uint8_t((bytes[i] + 1) % 10);
    const std::span<const uint8_t> part(bytes);
    write_file_atomically((f.path / name).string(), {&part, 1});
  };
  const json before = result(f, "eval m.pare", {});
  other_labels("mnist/t10k-labels-idx1-ubyte");
  says("", 0, "note: the test part is not the one that this run began with");
  const json pruned = result(f, "prune --resume p.pare.ckpt --quiet", {});
  CHECK(pruned["accuracy_before"] == result(f, "eval m.pare", {})["accuracy"]);
  CHECK(pruned["accuracy_before"] != before["accuracy"]);
  CHECK(pruned["accuracy_pruned"].is_null());
  other_labels("mnist/train-labels-idx1-ubyte");
  says("--epochs 6", 2, "its training labels changed");
}
