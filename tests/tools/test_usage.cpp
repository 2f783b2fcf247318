// What is refused, by every command: the promised exit code, one sentence on standard error that
// says what to do, and with --json the same in one object.
#include <sys/stat.h>

#include <fstream>

#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

// Runs a command that must fail with --json, and returns its sentence.
std::string failure(const Folder& f, const std::string& args, int code) {
  CAPTURE(args);
  const Outcome o = run(f, args + " --json 2>errors; exit $?");
  CHECK(o.code == code);
  const auto bytes = read_file((f.path / "errors").string(), 1 << 20);
  const std::string errors(bytes.begin(), bytes.end());
  CAPTURE(errors);
  CAPTURE(o.out);
  const json object = json::parse(o.out, nullptr, false);
  REQUIRE(object.is_object());
  CHECK(object["code"] == code);
  const std::string error = object["error"];
  const std::string line = "error: " + error + "\n";
  CHECK(errors.ends_with(line));
  CHECK(errors.find("error:") == errors.size() - line.size());
  CHECK(error.find('\n') == std::string::npos);
  return error;
}

void check_failure(const Folder& f, const Mistake& m) {
  const std::string error = failure(f, m.args, m.code), args = m.args, says = m.says;
  CAPTURE(args);
  CHECK_MESSAGE(error.find(says) != std::string::npos, error);
}

constexpr const char* train = "train mlp --data mnist --images 40 --batch 20 --epochs 1 ";

}  // namespace

TEST_CASE("words that no command knows are exit code 1, with what is near") {
  if (!have_tool()) return;
  const Folder f;
  const Mistake cases[] = {
      {"trian", 1, "pare has no command 'trian' (did you mean 'train'?)"},
      {"help trian", 1, "did you mean 'train'?"},
      {"--threads 2 train mlp", 1, "options stand behind the command"},
      {"data shw digits", 1, "pare data has no command 'shw' (did you mean 'show'?)"},
      {"train mlp --epoch 3", 1, "pare train has no option '--epoch' (did you mean '--epochs'?)"},
      {"train mlp -epochs 3", 1, "did you mean '--epochs'?"},
      {"train mlp --epoch=3", 1, "has no option '--epoch' ("},
      {"distill --techer t.pare", 1, "did you mean '--teacher'?"},
      {"eval a b", 1, "'b' is one argument too many, expected: pare eval FILE"},
      {"eval", 1, "name the file: pare eval FILE"},
      {"predict m.pare", 1, "name the images: pare predict FILE IMAGES..."},
      {"train mlp --epochs", 1, "--epochs: its value is missing"},
      {"train mlp --out --quiet", 1, "--out: its value is missing; --quiet is the next option"},
      {"train mlp --epochs 1 --epochs 2", 1, "--epochs is given twice"},
      {"train mlp --alpha 0.5", 1, "--alpha requires --teacher"},
      {"train mlp --optim adamx", 1, "(did you mean 'adam', 'adamw'?)"},
      {"train mlp --schedule cosin", 1, "(did you mean 'cosine'?)"},
      {"train mlp --data mnst", 1, "(did you mean 'mnist'?)"},
      {"prune mlp --when gradul", 1, "(did you mean 'gradual'?)"},
      {"eval m.pare --pixel-range 0", 1, "--pixel-range: it takes 2 values"},
      {"eval m.pare --pixel-range -2 --quiet", 1, "it takes 2 values; --quiet is the next option"},
      {"eval m.pare --pixel-range 0 1 2", 1, "it takes 2 values, 3 are given"},
      {"eval m.pare --pixel-range -2 -1", 2, "m.pare: no such file"},
      {"train mlp --quiet=1", 1, "--quiet takes no value"},
      {"train mlp --force=", 1, "--force takes no value"},
      {"train mlp --resume m.pare.ckpt", 1, "'mlp' has no part in that"},
      {"prune mlp --resume m.pare.ckpt", 1, "'mlp' has no part in that"},
      {"distill m.pare --teacher", 1, "--teacher: its value is missing"},
      {"distill m.pare --teacher t.pare", 1, "pare train m.pare --teacher t.pare"},
      {"distill lenet6 --teacher t.pare", 1, "'lenet6' is no network that a student could be (did"},
      {"train ./lenet5", 2, "./lenet5: no such file"},
      {"train mlp --teacher lenet5", 2, "lenet5: no such file; it is the name of a network"},
      {"eval mlp", 2, "as pare train mlp --out mlp.pare writes it"},
      {"predict mlp x.png", 2, "the name of a network"},
      {"quantize mlp", 2, "the name of a network"},
      {"bench mlp", 2, "the name of a network"},
      {"sensitivity mlp", 2, "the name of a network"},
      {"eval m.pare --data npz:", 2, "m.pare: no such file"},
      {"data show npz:", 1, "'npz:' names no archive"},
  };
  for (const Mistake& m : cases) check_failure(f, m);
  for (const char* command : {"train", "eval", "summary", "predict", "prune", "sensitivity",
                              "quantize", "distill", "bench", "data list", "data show", "doctor"})
    CHECK(failure(f, std::string(command) + " --nonsense 1", 1) ==
          failure(f, std::string(command) + " x --nonsense=1", 1));
  for (const char* object : {"doctor --json=1", "doctor --json="}) {
    const Outcome o = run(f, object);
    CAPTURE(o.out);
    CHECK(o.code == 1);
    CHECK(json::parse(o.out)["error"] == "--json takes no value");
  }
  CHECK(failure(f, "train mlp --nonsense 1", 1) ==
        "pare train has no option '--nonsense'; pare train --help lists them");
  CHECK(failure(f, "nonsense", 1) == "pare has no command 'nonsense'; pare --help lists them");
  check_mistake(f, {"", 1, "error: pare needs a command; pare --help lists them\n"});
  check_mistake(f, {"data", 1, "error: pare data needs a command; pare data --help lists them\n"});
  CHECK(run(f, "help").out == run(f, "--help").out);
  CHECK(run(f, "help data show").out == run(f, "data show --help").out);
}

TEST_CASE("a value that is empty or beyond its type is exit code 1") {
  if (!have_tool()) return;
  const Folder f;
  for (const char* option : {"--out", "--data", "--data-dir", "--teacher", "--optim", "--schedule",
                             "--augment", "--device", "--plugin", "--precision"}) {
    const std::string name = option;
    CHECK(failure(f, "train mlp " + name + " ''", 1) == failure(f, "train mlp " + name + "=", 1));
  }
  for (const char* empty : {"train ''", "train --resume ''", "eval ''", "predict '' x.png",
                            "predict m.pare ''", "data show ''", "summary mlp --dot ''",
                            "sensitivity m.pare --svg ''", "prune m.pare --when ''"})
    CHECK(failure(f, empty, 1).find("its value is empty") != std::string::npos);
  for (const char* text : {"99999999999999999999", "'5 epochs'", "5.5", "0x10", "1e3", "nan", "''"})
    CHECK(failure(f, std::string("train mlp --epochs ") + text, 1).find("a whole number") !=
          std::string::npos);
  for (const char* text : {"nan", "inf", "-inf", "1e400", "0x1p3", "0.5x", "1,5", "''"})
    CHECK(failure(f, std::string("train mlp --lr ") + text, 1).find("a finite number") !=
          std::string::npos);
  const Mistake cases[] = {
      {"train mlp --seed -1", 1,
       "--seed: '-1', expected a whole number, 0 to 18446744073709551615"},
      {"train mlp --seed 18446744073709551616", 1, "expected a whole number, 0 to"},
      {"train mlp --threads 1025", 1, "--threads: '1025', expected a whole number, 0 to 1024"},
      {"train mlp --threads -1", 1, "0 to 1024"},
      {"data show digits --threads -1", 1, "0 to 1024"},
      {"train mlp --axes ''", 1, "its value is empty"},
      {"train mlp --threads 99999999999", 1, "0 to 1024"},
      {"train mlp --batch 0", 1, "1 to 1048576"},
      {"train mlp --images 0", 1, "at least 1"},
      {"train mlp --data mnist --epochs 9223372036854775807", 1, "epochs"},
      {"train mlp --data mnist --epochs -3", 1, "epochs -3"},
      {"predict m.pare x.png --top 0", 1, "1 to"},
      {"data show digits --count 1001", 1, "0 to 1000"},
      {"prune mlp --rounds 99999999999 --when lottery", 1, "a whole number"},
      {"prune mlp --structure channel --widths 10,x", 1, "--widths: 'x'"},
      {"quantize m.pare --bits 99999999999", 1, "1 to 32"},
      {"sensitivity m.pare --sparsities 0.5,nan", 1, "'nan'"},
  };
  for (const Mistake& m : cases) check_failure(f, m);
  // Octal is not meant.
  CHECK(result(f, std::string(train) + "--threads 010 --quiet --out m.pare", {}).is_object());
  CHECK(json::parse(run(f, "doctor --threads 010 --json").out)["threads"] == 10);
}

TEST_CASE("options that change nothing are refused, or said where there is less than they ask") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, std::string(train) + "--out m.pare").code == 0);
  REQUIRE(run(f, "train mlp --images 20 --epochs 0 --out d.pare").code == 0);
  const Mistake cases[] = {
      {"train mlp --data mnist --momentum 0.9", 1, "--momentum has no part in adamw"},
      {"train lenet5 --data mnist --optim adam --momentum 0.9", 1,
       "--momentum has no part in adam"},
      {"prune m.pare --momentum 0.9", 1, "--momentum has no part in adamw"},
      {"train mlp --data mnist --epochs 3 --warmup 3", 1, "--warmup 3: the training has 3 epochs"},
      {"train mlp --data mnist --teacher m.pare --alpha 1", 1, "the teacher has no part in it"},
      {"distill mlp --teacher m.pare --alpha 1", 1, "the teacher has no part in it"},
      {"train mlp --data mnist --eager", 1, "--eager has no part in a training on the CPU"},
      {"train mlp --data digits --data-dir .", 1, "--data-dir has no part in digits"},
      {"train mlp --data-dir .", 1, "--data-dir has no part in digits"},
      {"eval d.pare --data-dir .", 1, "--data-dir has no part in digits"},
      {"train mlp --data digits --axes hwc", 1, "belong to an archive"},
      {"train mlp --data digits --pixel-range 0 1", 1, "belong to an archive"},
      {"data show digits --pixel-range 0 1", 1, "belong to an archive"},
      {"data list --axes hwc", 1, "--axes has no part in pare data list"},
      {"data list --threads 2", 1, "--threads has no part in pare data list"},
      {"data show digits --count 3", 1, "--count has no part in --json without --out"},
      {"summary mlp --seed 2", 1, "--seed has no part in a summary"},
      {"prune m.pare --structure channel --widths 9,9 --floor 0.1", 1, "--floor has no part in"},
      {"prune m.pare --structure channel --widths 9,9 --round-to 3", 1, "--round-to has no part"},
      {"prune m.pare --structure channel --widths 9,9 --scope local", 1, "--scope has no part in"},
      {"data show digits --data-dir .", 1, "--data-dir has no part in digits"},
      {"quantize m.pare --epochs 2", 1, "--epochs has no part in --method ptq"},
      {"quantize m.pare --batch 2", 1, "--batch has no part in --method ptq"},
      {"summary m.pare --data mnist", 1, "--data has no part in the summary of a file"},
      {"summary mlp --data-dir .", 1, "--data-dir has no part in a summary without --data"},
      {"sensitivity m.pare --seed 3", 1, "--seed has no part in --method magnitude"},
      {"sensitivity m.pare --structure 2:4 --sparsities 0.5", 1, "which has one of its own"},
      {"predict m.pare x.png --top 11", 1, "--top 11: the model tells 10 classes apart"},
      {"prune mlp --rounds 3", 1, "--rounds has no part in --when one-shot"},
      {"prune mlp --control-lr 0.1", 1, "--control-lr has no part"},
  };
  for (const Mistake& m : cases) check_failure(f, m);
  const std::pair<const char*, const char*> notes[] = {
      {"train mlp --data mnist --images 1501 --batch 1501 --epochs 1 --out n.pare",
       "note: --images 1501: there are 1500 training images; all are taken"},
      {"train mlp --data mnist --images 20 --batch 21 --epochs 1 --out n.pare",
       "note: --batch 21: there are 20 training images; all are taken"},
      {"train mlp --data mnist --lr 0.1 --epochs 0 --out z.pare",
       "note: --lr has no part in --epochs 0"},
      {"train mlp --data mnist --batch 7 --epochs 0 --out z.pare",
       "note: --batch has no part in --epochs 0"},
      {"prune m.pare --holdout 0.2 --seed 7 --epochs 0 --out z.pare --force",
       "note: --holdout has no part in --epochs 0, which trains nothing\n"
       "note: --seed has no part in --epochs 0"},
      {"train m.pare --seed 7 --epochs 0 --out z.pare --force",
       "note: --seed has no part in --epochs 0 of a file"},
      {"quantize m.pare --seed 7 --images 1500 --out q.pare",
       "note: --seed has no part in a calibration"},
      {"prune m.pare --when gradual --epochs 1 --ramp-end 0.1 --out z.pare --force",
       "so it does in one jump"},
      {"prune m.pare --when dynamic --epochs 1 --ramp-end 0.1 --out z.pare --force",
       "connections may move within"},
      {"data list --data-dir none", "note: --data-dir none: no such folder"},
      {"doctor --data-dir none", "note: --data-dir none: no such folder"},
      {"eval m.pare --batch 301", "note: --batch 301: there are 300 test images; all are taken"},
      {"data show mnist --count 1000", "mnist: 1500 training"},
      {"doctor --threads 1000", "processors is slower than --threads"}};
  for (const auto& [args, says] : notes) {
    const Outcome o = run(f, args, true);
    CAPTURE(o.out);
    CHECK(o.code == 0);
    CHECK(o.out.find(says) != std::string::npos);
  }
}

TEST_CASE("names reach a terminal without what it obeys") {
  if (!have_tool()) return;
  const Folder f;
  const std::string name = "'\x1b]0;x\x07\x1b[2J\xc2\x9b.pare'";
  for (const std::string& args : {"eval " + name, "summary " + name, "train mlp --teacher " + name})
    CHECK(failure(f, args, 2).find("\\u001b]0;x\\u0007\\u001b[2J\\u009b.pare") !=
          std::string::npos);
  const Outcome o = run(f, std::string(train) + "--out " + name, true);
  CHECK(o.code == 0);
  CHECK(o.out.find_first_of("\x1b\x07") == std::string::npos);
  CHECK(o.out.find("saved \\u001b]0;x") != std::string::npos);
  const json trained = result(f, std::string(train) + "--quiet --out " + name, {"file"});
  CHECK(trained["file"] == name.substr(1, name.size() - 2));
  const Outcome two = run(f, "eval 'a\nerror: b'", true);
  CHECK(two.out == "error: a\n  error: b: no such file\n");
}

TEST_CASE("files, data and devices that are not there have the same code in every command") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, std::string(train) + "--out m.pare").code == 0);
  std::ofstream(f.path / "damaged.pare") << "no model at all";
  std::ofstream(f.path / "empty.pare");
  std::ofstream(f.path / "empty.npz");
  REQUIRE(::mkfifo((f.path / "pipe.pare").c_str(), 0600) == 0);
  fs::create_directory(f.path / "folder.pare");
  const struct {
    const char* before;
    const char* after;
  } readers[] = {{"eval ", ""},
                 {"summary ", ""},
                 {"bench ", ""},
                 {"predict ", " x.png"},
                 {"predict m.pare ", ""},
                 {"sensitivity ", ""},
                 {"quantize ", " --out q.pare"},
                 {"prune ", " --out p.pare"},
                 {"prune --resume ", ""},
                 {"train ", " --out t.pare"},
                 {"train --resume ", ""},
                 {"train mlp --data mnist --out t.pare --teacher ", ""},
                 {"distill mlp --data mnist --out t.pare --teacher ", ""},
                 {"eval m.pare --data npz:", ""},
                 {"doctor --plugin ", ""}};
  const std::pair<const char*, const char*> files[] = {{"none.pare", "no such file"},
                                                       {"damaged.pare", ""},
                                                       {"empty.pare", ""},
                                                       {"pipe.pare", "not a regular file"},
                                                       {"folder.pare", "not a regular file"},
                                                       {"/dev/null", "not a regular file"}};
  for (const auto& [before, after] : readers)
    for (const auto& [file, says] : files) {
      const std::string error = failure(f, std::string(before) + file + after, 2);
      CHECK_MESSAGE(error.find(says) != std::string::npos, error);
    }
  fs::create_directory(f.path / "d");
  fs::copy(f.path / "mnist", f.path / "d/mnist");
  fs::remove(f.path / "d/mnist/t10k-labels-idx1-ubyte");
  REQUIRE(::mkfifo((f.path / "d/mnist/t10k-labels-idx1-ubyte").c_str(), 0600) == 0);
  CHECK(failure(f, "train mlp --data mnist --data-dir d", 2).find("not found") !=
        std::string::npos);
  const char* with_data[] = {"train mlp",       "eval m.pare",
                             "prune m.pare",    "sensitivity m.pare",
                             "quantize m.pare", "distill mlp --teacher m.pare",
                             "summary mlp"};
  for (const std::string command : with_data) {
    CHECK(failure(f, command + " --data nonsense", 1).find("unknown data set") !=
          std::string::npos);
    CHECK(failure(f, command + " --data cifar10", 2).find("data_batch_1.bin") != std::string::npos);
    CHECK(failure(f, command + " --data npz:empty.npz", 2).find("empty.npz") != std::string::npos);
  }
  for (const std::string command : {"train ", "prune ", "summary "})
    CHECK(failure(f, command + "nonsense", 1).find("'nonsense' is neither a model nor a file") !=
          std::string::npos);
  for (const std::string command :
       {"train mlp --data mnist", "eval m.pare", "predict m.pare x.png", "prune m.pare",
        "quantize m.pare", "distill mlp --teacher m.pare", "bench m.pare", "sensitivity m.pare",
        "summary mlp", "doctor"}) {
    CHECK(failure(f, command + " --device gpu", 1).find("unknown") != std::string::npos);
    if (json::parse(run(f, "doctor --json").out)["devices"].size() == 1)
      CHECK(failure(f, command + " --device cuda-emulated", 4).find("device") != std::string::npos);
  }
  for (const std::string command :
       {"train mlp --data mnist --out ", "prune m.pare --out ", "quantize m.pare --out ",
        "distill mlp --teacher m.pare --out ", "data show mnist --out ", "summary mlp --dot ",
        "sensitivity m.pare --svg "}) {
    failure(f, command + "no/such/folder/x.pare", 5);
    failure(f, command + "folder.pare", 5);
  }
}

TEST_CASE("an interrupted command says so in one object") {
  if (!have_tool()) return;
  const Folder f;
  for (const char* signal : {"INT", "TERM", "HUP"}) {
    CAPTURE(signal);
    const Outcome o = run(f, "train mlp --epochs 100000 --json --quiet --out i.pare", false,
                          std::string("timeout --preserve-status -s ") + signal + " 0.5 env");
    CHECK(o.code == 130);
    const json object = json::parse(o.out, nullptr, false);
    CAPTURE(o.out);
    REQUIRE(object.is_object());
    CHECK(object["code"] == 130);
  }
}
