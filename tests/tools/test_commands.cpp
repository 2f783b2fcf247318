// The commands as a user calls them: exit codes, one JSON object with the promised keys, files.
#include "datasets/image.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

TEST_CASE("from training to integers by the command line alone") {
  if (!have_tool()) return;
  const Folder f;
  const json trained = result(
      f, "train mlp --data mnist --epochs 3 --out m.pare",
      {"model", "data", "params", "epochs", "best_accuracy", "test_accuracy", "test_loss", "file"});
  CHECK(trained["epochs"].size() == 3);
  CHECK(trained["params"] == 266610);
  const json evaluated = result(
      f, "eval m.pare", {"examples", "accuracy", "loss", "seconds", "images_per_s", "file_bytes"});
  CHECK(evaluated["accuracy"] == trained["test_accuracy"]);
  CHECK(evaluated["examples"] == 300);

  const json pruned =
      result(f, "prune m.pare --sparsity 0.9 --epochs 1 --out p.pare",
             {"method", "structure", "sparsity", "accuracy_before", "accuracy_pruned",
              "accuracy_after", "macs_before", "macs_after", "file_bytes_before",
              "file_bytes_after", "latency_before_ms", "latency_after_ms"});
  CHECK(pruned["file_bytes_after"].get<double>() < 0.2 * pruned["file_bytes_before"].get<double>());
  const json before = result(
      f, "summary p.pare",
      {"params", "nonzero", "macs", "effective_macs", "weight_bytes", "file_bytes", "layers"});
  // From the file alone, an epoch of AdamW with decay leaves every zero in place.
  result(f, "train p.pare --optim adamw --weight-decay 0.1 --lr 0.001 --epochs 1 --out p2.pare",
         {});
  const json after = result(f, "summary p2.pare", {});
  CHECK(after["nonzero"] == before["nonzero"]);

  const json quantized =
      result(f, "quantize p2.pare --out q.pare",
             {"method", "weight_bits", "activation_bits", "accuracy_before", "accuracy_fake_quant",
              "accuracy_after", "top1_agreement", "file_bytes_before", "file_bytes_after",
              "latency_before_ms", "latency_after_ms"});
  CHECK(quantized["logits_equal"] == true);
  CHECK(result(f, "eval q.pare", {})["accuracy"] == quantized["accuracy_after"]);
  CHECK(result(f, "summary q.pare", {})["layers"][2]["bits"] == 8);

  const json narrow = result(
      f, "prune m.pare --structure channel --widths 60,24 --method taylor --epochs 1 --out n.pare",
      {"method", "structure", "sparsity", "accuracy_before", "accuracy_pruned", "accuracy_after",
       "macs_before", "macs_after", "file_bytes_before", "file_bytes_after", "latency_before_ms",
       "latency_after_ms", "groups"});
  CHECK(narrow["groups"][1] == json({{"name", "fc2"}, {"before", 100}, {"after", 24}}));
  CHECK(narrow["macs_after"] == 784 * 60 + 60 * 24 + 24 * 10);
  // A masked network too: the kept channels keep their zeros.
  result(f, "prune p2.pare --structure channel --sparsity 0.5 --epochs 0 --out pn.pare", {});
  const json masked = result(f, "summary pn.pare", {});
  CHECK(masked["nonzero"].get<double>() < 0.4 * masked["params"].get<double>());
  const json rounds = result(
      f, "prune m.pare --structure channel --when iterative --rounds 2 --sparsity 0.75 --epochs 0",
      {});
  CHECK(rounds["sparsity"] == 0.75);
  CHECK(rounds["sparsity_achieved"].get<double>() == doctest::Approx(0.75).epsilon(0.01));

  result(f, "summary m.pare --dot m.dot", {});
  const auto dot = read_file((f.path / "m.dot").string(), 1 << 20);
  const std::string picture(dot.begin(), dot.end());
  CHECK(picture.starts_with("digraph"));
  CHECK(picture.find("fc2/dense") != std::string::npos);

  const json student = result(f, "distill mlp --teacher m.pare --epochs 1 --out d.pare",
                              {"model", "test_accuracy", "teacher_accuracy", "file"});
  CHECK(student["teacher_accuracy"] == trained["test_accuracy"]);
  const json bench = result(f, "bench m.pare --batch 2",
                            {"device", "threads", "results", "peak_memory_bytes", "file_bytes"});
  for (const char* key : {"batch", "p50_ms", "p95_ms", "images_per_s"})
    CHECK(bench["results"][0].contains(key));

  CHECK(bench["plan"] == "quickest");
  const json yardstick = result(f, "bench p2.pare --plan direct --describe", {"describe"});
  CHECK(yardstick["plan"] == "direct");
  CHECK(yardstick["results"][1]["batch"] == 64);
  const std::string account = yardstick["describe"];
  CHECK(account.find("fc1/dense: dense, packed panels") == 0);
  CHECK(account.find("sparse") == std::string::npos);
  CHECK(run(f, "bench m.pare --plan fastest", true).out.find("quickest") != std::string::npos);
  CHECK(run(f, "bench m.pare", true, "PARE_MEASURE=0").code == 1);

  const Examples one = draw_digits(3, 5000, 1);
  write_png({28, 28, 1, one.images.to_vector<uint8_t>()}, (f.path / "ü 0.png").string());
  const json predicted = result(f, "predict m.pare 'ü 0.png'", {"predictions"});
  CHECK(predicted["predictions"][0]["class"].is_string());
  CHECK(predicted["predictions"][0]["probability"].get<double>() > 0);
}

TEST_CASE("mistakes end with the promised code and a sentence that helps") {
  if (!have_tool()) return;
  const Folder f;
  const Mistake cases[] = {
      {"trian", 1, "did you mean 'train'"},
      {"train lenet6 --data mnist", 1, "lenet5"},
      {"train mlp --data minst", 1, "mnist"},
      {"train mlp --data mnist --optim adamx", 1, "adam"},
      {"train mlp --data mnist --schedule cosin", 1, "cosine"},
      {"train mlp --no-such-option", 1, "no-such-option"},
      {"train mlp --data cifar10", 2, "data_batch_1.bin"},
      {"train", 1, "--resume"},
      {"train --resume m.pare.ckpt --lr 9", 1, "excludes"},
      {"train mlp --data mnist --epochs 1 --out no/such/folder/m.pare", 5,
       "no folder no/such/folder/"},
      {"train mlp --data mnist --device cuda", 4, "cuda"},
      {"eval nothing.pare", 2, "no such file"},
      {"eval mnist/t10k-labels-idx1-ubyte", 2, "not a model file"},
      {"summary", 1, "model"},
      {"predict nothing.pare x.png", 2, "no such file"},
      {"prune nothing.pare --sparsity 2", 2, "no such file"},
      {"distill mlp", 1, "--teacher"},
      {"prune m.pare --structure channel --widths 10,x", 1, "widths"},
      {"prune m.pare --structure channel --method snip", 1, "taylor"},
      {"prune m.pare --structure channel --when gradual", 1, "one-shot"},
      {"prune m.pare --structure 4x1 --macs 0.5", 1, "--structure channel"},
      {"prune m.pare --structure channel --macs 0.5 --widths 1,2", 1, "give one"},
      {"data show nothing", 1, "unknown data set"},
  };
  for (const auto& c : cases) {
    check_mistake(f, c);
  }
  // Damaged data: labels out of range, images cut short.
  fs::resize_file(f.path / "mnist/train-images-idx3-ubyte", 5000);
  CHECK(run(f, "train mlp --data mnist").code == 2);
}

TEST_CASE("help, version and doctor") {
  if (!have_tool()) return;
  const Folder f;
  CHECK(run(f, "--version").out.starts_with("pare 0."));
  for (const char* command : {"train", "eval", "summary", "predict", "prune", "sensitivity",
                              "quantize", "distill", "bench", "data", "doctor"}) {
    const Outcome o = run(f, std::string(command) + " --help");
    CHECK(o.code == 0);
    CHECK(o.out.find("Example: pare ") != std::string::npos);
    CHECK(o.out.find("Excludes:") == std::string::npos);
    CHECK(o.out.find("=[]") == std::string::npos);
  }
  const std::string prune = run(f, "prune --help").out;
  for (const char* shown : {"--sparsity FLOAT=0.9", "--method TEXT=magnitude",
                            "--ramp-end FLOAT=0.75", "--every INT=100"})
    CHECK_MESSAGE(prune.find(shown) != std::string::npos, shown);
  CHECK(prune.find("--batch INT:") != std::string::npos);
  const json doctor =
      result(f, "doctor", {"version", "devices", "cpu_features", "blas", "threads", "data"});
  CHECK(doctor["devices"][0] == "cpu");
  const json kernels = result(f, "doctor --kernels", {"kernels", "kernel_rows"});
  const json& rows = kernels["kernel_rows"];
  CHECK(rows.front()["name"] == "amx_int8");
  CHECK(rows.back()["name"] == "scalar");
  for (const json& row : rows) {
    CHECK((row["in_use"] == true) == (row["name"] == kernels["kernels"]));
    CHECK((row["in_use"] == true) == row["why_not"].get<std::string>().empty());
  }
  const Outcome capped = run(f, "doctor --kernels", true, "PARE_ISA=scalar");
  CHECK(capped.code == 0);
  CHECK(capped.out.find("in use") != std::string::npos);
  for (const json& row : rows)
    if (row["runs"] == true && row["name"] != "scalar") {
      CHECK(capped.out.find("PARE_ISA asks for scalar") != std::string::npos);
      break;
    }
}
