// pare prune and pare sensitivity as a user calls them: every way of pruning, signals, bad input.
#include "core/container.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

double zeros_of(const Folder& f, const std::string& file) {
  const json j = result(f, "summary " + file, {"layers"});
  double weights = 0, zeros = 0;
  for (const json& l : j["layers"]) {
    const double biases = l["op"] == "dense" ? l["output"].back().get<double>() : 0;
    weights += l["params"].get<double>() - biases;
    zeros += l["params"].get<double>() - l["nonzero"].get<double>();
  }
  return zeros / weights;
}

// Sends SIGTERM once `condition`, a shell test, holds.
Outcome stopped(const Folder& f, const std::string& args, const std::string& condition) {
  const std::string command = "cd '" + f.path.string() + "'; PARE_DATA=. '" +
                              std::getenv("PARE_TOOL") + "' " + args +
                              " --quiet >/dev/null 2>&1 & pid=$!; cd '" + f.path.string() +
                              "'; while kill -0 $pid 2>/dev/null && ! { " + condition +
                              "; }; do sleep 0.01; done; kill -TERM $pid; wait $pid";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, {}};
}

// A copy of a model in which one tensor or the graph's description is another.
void rewrite(const fs::path& from, const fs::path& to, const std::string& replaced,
             const Tensor& tensor, const std::string& old_text = "",
             const std::string& new_text = "") {
  const Container file(from.string());
  ContainerWriter writer;
  for (const std::string& name : file.names())
    writer.add(name, name == replaced ? tensor : file.tensor(name));
  std::string graph = file.metadata("graph");
  if (!old_text.empty()) {
    const size_t at = graph.find(old_text);
    REQUIRE(at != std::string::npos);
    graph.replace(at, old_text.size(), new_text);
  }
  writer.set_metadata("graph", graph);
  writer.write(to.string());
}

}  // namespace

TEST_CASE("every way of pruning ends at the sparsity asked for") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 4 --out m.pare").code == 0);
  const auto model = bytes_of(f.path / "m.pare");
  for (const char* way :
       {"prune m.pare --when one-shot --epochs 1",
        "prune m.pare --when iterative --rounds 2 --epochs 1",
        "prune m.pare --when gradual --epochs 6 --every 5",
        "prune mlp --data mnist --when gradual "
        "--ramp exponential --epochs 6 --every 5",
        "prune mlp --data mnist --when init --method snip --epochs 2",
        "prune mlp --data mnist --when init --method synflow --rounds 5 --epochs 2",
        "prune mlp --data mnist --when init --method grasp --epochs 2 --average 0.9",
        "prune mlp --data mnist --when dynamic --epochs 2 --every 5 --scope erk",
        "prune mlp --data mnist --when lottery --rounds 2 --epochs 2 --rewind 3",
        "prune m.pare --when lottery --rounds 2 --epochs 2"}) {
    CAPTURE(way);
    const json j =
        result(f, std::string(way) + " --sparsity 0.9 --out p.pare",
               {"method", "structure", "sparsity", "when", "accuracy_before", "accuracy_pruned",
                "accuracy_after", "macs_before", "macs_after", "file_bytes_before",
                "file_bytes_after", "latency_before_ms", "latency_after_ms", "file"});
    CHECK(zeros_of(f, "p.pare") == doctest::Approx(0.9).epsilon(0.002));
    CHECK(j["sparsity_achieved"].get<double>() == doctest::Approx(0.9).epsilon(0.002));
    CHECK(j["nonzero_after"].get<int64_t>() < j["nonzero_before"].get<int64_t>());
    CHECK(j["threads"].get<int>() >= 1);
    CHECK(j["latency_disturbed"].is_boolean());
    REQUIRE(j["layers"].size() == 3);
    const json& layer = j["layers"][0];
    CHECK(layer["name"] == "fc1/dense");
    CHECK(layer["weights"] == 784 * 300);
    CHECK(layer["nonzero"].get<int64_t>() < 784 * 300 / 2);
    CHECK(layer["kernel"].get<std::string>().find("dense") != std::string::npos);
    for (const char* key : {"us_before", "us_after", "us_batch64_before", "us_batch64_after"})
      CHECK(layer[key].get<double>() > 0);
    CHECK(layer["us_disturbed"].is_boolean());
    CHECK(j["accuracy_after"].get<double>() > 0.15);
    CHECK(j["macs_after"].get<double>() < 0.2 * j["macs_before"].get<double>());
    CHECK(j["file_bytes_before"].get<double>() > 1e6);
    CHECK(bytes_of(f.path / "m.pare") == model);
  }
  // The share that masks drop may be more than was asked for.
  const json more = result(f, "prune p.pare --sparsity 0.5 --epochs 0 --out p2.pare", {});
  CHECK(more["sparsity"] == 0.5);
  CHECK(more["sparsity_achieved"].get<double>() == doctest::Approx(0.9).epsilon(0.002));
  // Gradual pruning begins with a trial, and ends with what is left.
  const std::string told = run(f, "prune m.pare --when gradual --epochs 2 --every 5", true).out;
  const size_t trial = told.find("a trial that cuts at once"),
               end = told.find("after the training");
  CHECK(trial < end);
  CHECK(end < told.find("fc3/dense", end));
  // So few that the file has less than a bit for each weight.
  for (const char* share : {"0.99", "0.999"}) {
    REQUIRE(
        run(f, std::string("prune m.pare --epochs 0 --out few.pare --sparsity ") + share).code ==
        0);
    CHECK(zeros_of(f, "few.pare") == doctest::Approx(std::stod(share)).epsilon(0.002));
    CHECK(run(f, "quantize few.pare --out few8.pare").code == 0);
    CHECK(run(f, "eval few8.pare").code == 0);
  }
  // The initial weights of a file are those that its seed gives: naming the model is the same.
  REQUIRE(run(f, "prune mlp --data mnist --when lottery --rounds 1 --epochs 4 --out a.pare").code ==
          0);
  REQUIRE(run(f, "prune m.pare --when lottery --rounds 1 --epochs 4 --out b.pare").code == 0);
  CHECK(result(f, "eval a.pare", {})["loss"] == result(f, "eval b.pare", {})["loss"]);
  // Pruning before training begins there too, from a trained file.
  REQUIRE(run(f, "prune mlp --data mnist --when init --method snip --epochs 2 --out a.pare").code ==
          0);
  const Outcome back =
      run(f, "prune m.pare --when init --method snip --epochs 2 --out b.pare", true);
  CHECK(back.out.find("m.pare is trained: it goes back to its initial weights") !=
        std::string::npos);
  CHECK(result(f, "eval a.pare", {})["loss"] == result(f, "eval b.pare", {})["loss"]);
  // So is a file of the untrained network.
  REQUIRE(run(f, "train mlp --data mnist --epochs 0 --out u.pare").code == 0);
  REQUIRE(run(f, "prune u.pare --when init --method snip --epochs 1 --out c.pare").code == 0);
  REQUIRE(run(f, "prune mlp --data mnist --when init --method snip --epochs 1 --out d.pare").code ==
          0);
  CHECK(result(f, "eval c.pare", {})["loss"] == result(f, "eval d.pare", {})["loss"]);
}

TEST_CASE(
    "wanda compares within outputs unless told, and what is pruned stays so by any structure") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 2 --out m.pare").code == 0);
  const auto pruned = [&](const std::string& args) {
    REQUIRE(run(f, "prune m.pare --epochs 0 --out p.pare " + args).code == 0);
    return result(f, "eval p.pare", {})["loss"];
  };
  const json by_row = pruned("--method wanda --scope row");
  CHECK(pruned("--method wanda") == by_row);
  CHECK(pruned("--method wanda --scope global") != by_row);
  CHECK(pruned("--method magnitude --scope global") == pruned("--method magnitude"));
  REQUIRE(run(f, "prune m.pare --epochs 0 --out p.pare").code == 0);
  for (const char* structure : {"2:4", "4x1", "unstructured"}) {
    CAPTURE(structure);
    const std::string args = std::string("prune p.pare --epochs 0 --out q.pare --structure ");
    REQUIRE(run(f, args + structure).code == 0);
    CHECK(zeros_of(f, "q.pare") >= 0.899);
  }
  const Outcome often =
      run(f, "prune mlp --data mnist --when dynamic --epochs 1 --every 2 --out d.pare", true);
  CHECK(often.out.find("one step in 2 moves connections instead of weights") != std::string::npos);
}

TEST_CASE("the control trains fresh weights under the same masks for as many epochs") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 3 --out m.pare").code == 0);
  const json j =
      result(f, "prune m.pare --epochs 2 --control scratch --out p.pare", {"control"})["control"];
  CHECK(j["epochs"] == 5);
  CHECK(j["file"] == "p-scratch.pare");
  CHECK(zeros_of(f, "p-scratch.pare") == zeros_of(f, "p.pare"));
  CHECK(result(f, "eval p-scratch.pare", {})["accuracy"] == j["accuracy"]);

  const json narrow = result(
      f, "prune m.pare --structure channel --epochs 1 --control scratch --out n.pare", {"control"});
  CHECK(narrow["control"]["epochs"] == 4);
  CHECK(result(f, "summary n-scratch.pare", {})["params"] == narrow["params_after"]);
}

TEST_CASE("a pruning stopped by a signal goes on to the file of one that was not") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 2 --out m.pare").code == 0);
  const std::string first = "[ -e s.pare.csv ]";
  const std::string sparse = first + " && awk -F, 'END{exit !($8>0.4)}' s.pare.csv";
  const struct {
    const char* args;
    std::string when;
  } cases[] = {
      {"prune m.pare --when one-shot --epochs 24", first},
      {"prune m.pare --when iterative --rounds 2 --sparsity 0.8 --epochs 24", sparse},
      {"prune m.pare --when gradual --epochs 24 --every 10", sparse},
      {"prune m.pare --structure channel --method taylor --epochs 24", first},
      {"prune m.pare --structure channel --when iterative --rounds 2 --round-to 4 --epochs 24",
       first + " && { [ $(wc -l < s.pare.csv) -lt 12 ] || touch half; } && [ -e half ] && "
               "[ $(wc -l < s.pare.csv) -lt 12 ]"},
      {"prune mlp --data mnist --when dynamic --epochs 24 --every 10 --average 0.99", first},
      {"prune mlp --data mnist --when lottery --rounds 2 --epochs 24 --rewind 7", sparse},
  };
  for (const auto& c : cases) {
    CAPTURE(c.args);
    for (const char* file : {"s.pare", "s.pare.csv", "s.pare.ckpt"}) fs::remove(f.path / file);
    const json whole = result(f, std::string(c.args) + " --out w.pare", {});
    CHECK(stopped(f, std::string(c.args) + " --out s.pare", c.when).code == 130);
    REQUIRE(fs::exists(f.path / "s.pare.ckpt"));
    CHECK(run(f, "train --resume s.pare.ckpt").code == 1);
    const json resumed = result(f, "prune --resume s.pare.ckpt", {});
    CHECK(bytes_of(f.path / "s.pare") == bytes_of(f.path / "w.pare"));
    for (const char* key : {"accuracy_before", "accuracy_pruned", "accuracy_after", "when"})
      CHECK(resumed[key] == whole[key]);
  }
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out t.pare").code == 0);
  const Outcome wrong = run(f, "prune --resume t.pare.ckpt", true);
  CHECK(wrong.code == 2);
  CHECK(wrong.out.find("pare train --resume") != std::string::npos);
}

TEST_CASE("--out may be the input: the report is of the network as it was, after a signal too") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 2 --out m.pare").code == 0);
  const int64_t bytes = int64_t(fs::file_size(f.path / "m.pare"));
  const auto restore = [&] {
    fs::remove(f.path / "s.pare.csv");
    fs::copy(f.path / "m.pare", f.path / "s.pare", fs::copy_options::overwrite_existing);
  };
  for (const std::string args :
       {"prune s.pare --epochs 24 --out s.pare",
        "prune s.pare --structure channel --epochs 24 --control scratch --out s.pare"}) {
    CAPTURE(args);
    restore();
    const json whole = result(f, args, {});
    const auto written = bytes_of(f.path / "s.pare");
    CHECK(whole["file_bytes_before"] == bytes);
    CHECK(whole["file_bytes_after"] == written.size());
    restore();
    // Its first epoch has been written over the input.
    CHECK(stopped(f, args, "[ -e s.pare.csv ] && ! cmp -s m.pare s.pare").code == 130);
    REQUIRE(bytes_of(f.path / "s.pare") != bytes_of(f.path / "m.pare"));
    const json resumed = result(f, "prune --resume s.pare.ckpt", {});
    CHECK(bytes_of(f.path / "s.pare") == written);
    for (const char* key : {"file_bytes_before", "file_bytes_after", "macs_before", "macs_after",
                            "accuracy_before", "sparsity"})
      CHECK(resumed[key] == whole[key]);
    if (whole.contains("control")) {
      CHECK(resumed["control"] == whole["control"]);
      CHECK(resumed["groups"] == whole["groups"]);
      CHECK(resumed["params_before"] == whole["params_before"]);
    }
  }
  // What stands beside belongs to the user; a network that had no file has the size of its file.
  restore();
  fs::rename(f.path / "s.pare", f.path / "z.pare.before");
  const json fresh = result(f, "prune mlp --data mnist --epochs 0 --out z.pare", {});
  CHECK(bytes_of(f.path / "z.pare.before") == bytes_of(f.path / "m.pare"));
  REQUIRE(run(f, "train mlp --data mnist --epochs 0 --out u.pare").code == 0);
  CHECK(fresh["file_bytes_before"].get<double>() ==
        doctest::Approx(double(fs::file_size(f.path / "u.pare"))).epsilon(0.001));
}

TEST_CASE("mistakes and damaged files end with a sentence that helps, and the input untouched") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 2 --out m.pare").code == 0);
  REQUIRE(run(f, "prune m.pare --epochs 0 --sparsity 0.6 --out masked.pare").code == 0);
  REQUIRE(run(f, "prune m.pare --epochs 0 --sparsity 0.95 --out few.pare").code == 0);
  rewrite(f.path / "few.pare", f.path / "gaps.pare", "fc1.weight:gaps",
          Tensor::full({1000}, 255, DType::u8));
  rewrite(f.path / "masked.pare", f.path / "mask.pare", "fc1.weight:mask",
          Tensor::zeros({100}, DType::u8));
  rewrite(f.path / "masked.pare", f.path / "kept.pare", "fc1.weight:kept", Tensor::zeros({100}));
  rewrite(f.path / "masked.pare", f.path / "newer.pare", "", {}, "\"version\":1", "\"version\":9");
  fs::create_symlink("m.pare", f.path / "link.pare");
  fs::copy(f.path / "m.pare", f.path / "m-scratch.pare");
  const auto model = bytes_of(f.path / "m.pare");
  const Mistake cases[] = {
      {"prune m.pare --sparsity 2", 1, "between 0 and 1"},
      {"prune m.pare --sparsity -0.1", 1, "between 0 and 1"},
      {"prune m.pare --sparsity 1", 1, "no layer is emptied"},
      {"prune m.pare --sparsity 0.9999999", 1, "no layer is emptied"},
      {"prune m.pare --structure channel --sparsity 2", 1, "between 0 and 1"},
      {"prune m.pare --structure channel --sparsity 1", 1, "stay"},
      {"prune m.pare --structure channel --widths 10", 1, "fc1 300, fc2 100"},
      {"prune m.pare --structure channel --macs 0.5 --when iterative", 1, "one step"},
      {"prune m.pare --structure channel --sparsity 0.2 --macs 0.5", 1, "give one"},
      {"prune m.pare --structure channel --when lottery", 1, "one-shot or iteratively"},
      {"prune m.pare --structure channel --round-to 0", 1, "round"},
      {"prune m.pare --structure channel --optim sgd --lr 1e10 --epochs 1", 3, "diverged"},
      {"prune m.pare --structure block", 2, "no residual blocks"},
      {"prune m.pare --structure block --method taylor", 1, "--method taylor"},
      {"prune m.pare --structure 4:2", 1, "N:M"},
      {"prune m.pare --structure filter", 1, "channel"},
      {"prune m.pare --rounds 3", 1, "no part in --when one-shot; it belongs to iterative"},
      {"prune m.pare --when iterative --ramp linear", 1, "belongs to gradual"},
      {"prune m.pare --when gradual --rewind 3", 1, "belongs to lottery"},
      {"prune m.pare --when dynamic --ramp-begin 0.1", 1, "--ramp-begin has no part"},
      {"prune m.pare --structure 2:4 --scope local", 1, "--scope has no part"},
      {"prune m.pare --structure channel --when iterative --sparsity 0.97 --rounds 2", 1,
       "must stay"},
      {"prune m.pare --structure 2:4 --sparsity 0.9", 1, "leave --sparsity out"},
      {"prune m.pare --method fpgm", 1, "--structure channel"},
      {"prune m.pare --sparsity nan", 1, "a finite number"},
      {"prune m.pare --structure 0x1", 1, "is no structure"},
      {"prune m.pare --structure 2:4 --when gradual", 1, "has one only"},
      {"prune m.pare --method magnitud", 1, "magnitude"},
      {"prune m.pare --when gradul", 1, "gradual"},
      {"prune m.pare --when gradual --ramp cubik", 1, "cubic"},
      {"prune m.pare --when gradual --ramp-begin 0.8", 1, "begin < end"},
      {"prune m.pare --when gradual --epochs 0", 1, "--epochs 0"},
      {"prune m.pare --when gradual --every 0", 1, "--every 0"},
      {"prune m.pare --when dynamic --method snip", 1, "--method snip"},
      {"prune m.pare --when dynamic --every 1", 1, "two with --when dynamic"},
      {"prune m.pare --when lottery --rewind 5", 1, "name the model"},
      {"prune m.pare --when iterative --rounds 0", 1, "1 to 1000"},
      {"prune mlp --data mnist --when lottery --epochs 1 --rewind 9999", 1, "9999"},
      {"prune", 1, "--resume"},
      {"prune m.pare --average 1.5", 1, "average"},
      {"prune --resume m.pare.ckpt --epochs 3", 1, "excludes"},
      {"prune mask.pare", 2, "fc1.weight:mask"},
      {"prune gaps.pare", 2, "fc1.weight:gaps"},
      {"prune kept.pare", 2, "its mask keeps"},
      {"prune newer.pare", 2, "newer pare"},
      {"prune m.pare --optim sgd --lr 1e9 --epochs 1", 3, "diverged"},
      {"prune m.pare --when gradual --optim sgd --lr 1e9 --epochs 1", 3, "diverged"},
      {"sensitivity m.pare --sparsities 0.5,1.5", 1, "between 0 and 1"},
      {"sensitivity m.pare --method nothing", 1, "no pruning method"},
      {"sensitivity nothing.pare", 2, "no such file"},
      {"sensitivity m.pare --images 0", 1, "at least 1"},
      {"sensitivity m.pare --images 50 --svg no/such/folder/s.svg", 5, "s.svg"},
      {"sensitivity m.pare --images 50 --svg m.pare", 1, "--svg would overwrite m.pare"},
      {"sensitivity m.pare --images 50 --svg link.pare", 1, "--svg would overwrite"},
      {"summary m.pare --dot ./m.pare", 1, "--dot would overwrite m.pare"},
      {"train mlp --data mnist --teacher m.pare --out m.pare", 1, "would overwrite m.pare"},
      {"distill mlp --teacher m.pare --out link.pare", 1, "overwrite m.pare"},
      {"prune few.pare --teacher m.pare --out m.pare", 1, "overwrite the teacher m.pare"},
      {"prune m-scratch.pare --control scratch --out m.pare", 1, "--control scratch would over"},
      {"prune m.pare --seed -1", 1, "--seed: '-1', expected a whole number, 0 to"},
      {"prune m.pare --out no/such/folder/p.pare --sparsity 1", 5, "no/such/folder/p.pare"},
  };
  for (const auto& c : cases) {
    check_mistake(f, c);
    CHECK(bytes_of(f.path / "m.pare") == model);
    CHECK_FALSE(fs::exists(f.path / "m-pruned.pare"));
  }
}

TEST_CASE("sensitivity draws what each layer loses, and can be stopped") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 4 --out m.pare").code == 0);
  const json j = result(
      f, "sensitivity m.pare --sparsities 0.99,0.5 --svg s.svg --method wanda",
      {"method", "structure", "examples", "accuracy", "loss", "sparsities", "layers", "svg"});
  CHECK(j["sparsities"] == json::array({0.5, 0.99}));
  CHECK(j["examples"] == 150);
  REQUIRE(j["layers"].size() == 3);
  for (const json& l : j["layers"]) {
    for (const char* key : {"name", "weights", "accuracy", "loss", "tolerated"})
      CHECK(l.contains(key));
    CHECK(l["accuracy"][0] >= l["accuracy"][1]);
  }
  const auto svg = bytes_of(f.path / "s.svg");
  const std::string picture(svg.begin(), svg.end());
  CHECK(picture.starts_with("<svg"));
  CHECK(picture.find("fc2.weight") != std::string::npos);
  const Outcome table = run(f, "sensitivity m.pare --structure 4x1 --images 60");
  CHECK(table.code == 0);
  CHECK(table.out.find("fc3.weight") != std::string::npos);
  CHECK(table.out.find("tolerated") != std::string::npos);
  CHECK(run(f, "sensitivity m.pare --structure 2:4 --images 60").code == 0);
  // Many evaluations, and a signal while they run.
  std::string many = "sensitivity m.pare --sparsities 0.5";
  for (int i = 0; i < 3000; ++i) many += ",0.5";
  CHECK(stopped(f, many, "sleep 1").code == 130);
}

TEST_CASE("residual blocks go, and what is left trains on and says what went") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train resnet20 --data mnist --epochs 0 --out r.pare").code == 0);
  const json j = result(f, "prune r.pare --structure block --epochs 0 --out b.pare",
                        {"method", "structure", "sparsity", "removed", "params_after"});
  // Seven of its nine blocks have an identity shortcut; 0.3 of them are two.
  CHECK(j["removed"].size() == 2);
  CHECK(j["sparsity"] == 0.3);
  CHECK(j["sparsity_achieved"].get<double>() == doctest::Approx(2.0 / 7));
  CHECK(j["method"] == "loss");
  CHECK(j["params_after"] < j["params_before"]);
  CHECK(j["macs_after"] < j["macs_before"]);
  const json rounds = result(
      f, "prune r.pare --structure block --sparsity 0.6 --when iterative --rounds 2 --epochs 0",
      {});
  CHECK(rounds["removed"].size() == 4);
  CHECK(rounds["removed"][0] == j["removed"][0]);
  CHECK(run(f, "train b.pare --epochs 1 --out t.pare").code == 0);
  CHECK(result(f, "eval t.pare", {})["loss"].is_number());
  const json layers = result(f, "summary b.pare", {"layers"})["layers"];
  for (const json& l : layers)
    for (const json& gone : j["removed"])
      CHECK(l["name"].get<std::string>().find(gone.get<std::string>() + "/conv") ==
            std::string::npos);
}
