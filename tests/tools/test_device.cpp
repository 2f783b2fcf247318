// --device from the command line: where it may be used, what a broken device says, and what stays.
// The device is the emulated one, which plays the breakdowns.
#include <cmath>
#include <string>

#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

bool have_emulation(const Folder& f) {
  const json doctor = result(f, "doctor", {"devices"});
  for (const auto& device : doctor["devices"])
    if (device == "cuda-emulated") return true;
  MESSAGE("skipped: built without the emulated device");
  return false;
}

std::string playing(const std::string& fault) { return "PARE_EMULATION_FAULT=" + fault; }

constexpr const char* train = "train mlp --data mnist --images 40 --batch 20 --epochs 2 ";

}  // namespace

TEST_CASE("a device that cannot be used is exit code 4 and says what to do") {
  if (!have_tool()) return;
  const Folder f;
  if (!have_emulation(f)) return;
  const std::pair<const char*, const char*> faults[] = {
      {"no-driver", "no NVIDIA driver is installed; install one, or use --device cpu"},
      {"driver-too-old", "the NVIDIA driver is too old: it serves CUDA 11.8"},
      {"no-gpu", "there is no NVIDIA GPU"},
      {"old-gpu", "older than compute capability 7.5"},
      {"busy-gpu", "another process holds it"},
      {"no-kernel-image", "build it with its number in PARE_CUDA_ARCHITECTURES"}};
  for (const auto& [fault, text] : faults) {
    CAPTURE(fault);
    const Outcome o =
        run(f, std::string(train) + "--device cuda-emulated --out m.pare", true, playing(fault));
    CAPTURE(o.out);
    CHECK(o.code == 4);
    CHECK(o.out.find(text) != std::string::npos);
    CHECK_FALSE(fs::exists(f.path / "m.pare"));
  }
}

TEST_CASE("doctor --check names what differs, and is exit code 4 then") {
  if (!have_tool()) return;
  const Folder f;
  const std::string check = "doctor --check --device ";
  const json right = result(f, check + "cpu", {"check"});
  CHECK(right["check"].size() > 90);
  for (const auto& line : right["check"]) CHECK(line["outcome"] == "ok");
  if (!have_emulation(f)) return;
  const Outcome lost = run(f, check + "cuda-emulated --json", false, playing("lost-after-9"));
  CHECK(lost.code == 4);
  const json wrong = json::parse(lost.out);
  CHECK(wrong["code"] == 4);
  CHECK(wrong["error"].get<std::string>().find("on cuda-emulated") != std::string::npos);
}

TEST_CASE("what computes on the CPU alone refuses a device") {
  if (!have_tool()) return;
  const Folder f;
  if (!have_emulation(f)) return;
  REQUIRE(run(f, std::string(train) + "--device cpu --out m.pare").code == 0);
  for (const char* command :
       {"bench m.pare --device cuda-emulated", "sensitivity m.pare --device cuda-emulated",
        "summary m.pare --device cuda-emulated",
        "prune m.pare --when gradual --device cuda-emulated",
        "prune m.pare --when dynamic --device cuda-emulated"})
    check_mistake(f, {command, 4, "CPU"});
}

TEST_CASE("a network is pruned, distilled, quantized and evaluated on the device") {
  if (!have_tool()) return;
  const Folder f;
  if (!have_emulation(f)) return;
  f.part("train", 60, 0);
  f.part("t10k", 30, 5000);
  const std::string there = " --device cuda-emulated --epochs 1 --batch 20 --out ";
  REQUIRE(run(f, std::string(train) + "--device cpu --out m.pare").code == 0);
  for (const char* command :
       {"prune m.pare --sparsity 0.5", "prune m.pare --when lottery --rounds 1",
        "prune m.pare --when init --method snip", "prune m.pare --structure channel",
        "distill mlp --teacher m.pare"})
    result(f, command + there + "x.pare", {"file"});
  const json q = result(f, "quantize m.pare --method qat --images 20" + there + "q.pare",
                        {"accuracy_fake_quant", "accuracy_after", "logits_equal"});
  CHECK(q["logits_equal"] == true);
  // The integers of the device are those of the CPU, so the losses are the same number.
  const json here = result(f, "eval q.pare --device cpu", {"loss"});
  const json emulated = result(f, "eval q.pare --device cuda-emulated", {"loss"});
  CHECK(here["accuracy"] == q["accuracy_after"]);
  CHECK(emulated["accuracy"] == here["accuracy"]);
  CHECK(emulated["loss"].get<double>() ==
        doctest::Approx(here["loss"].get<double>()).epsilon(1e-6));
  // It ran there: launches that fail are noticed.
  CHECK(run(f, "eval q.pare --device cuda-emulated", true, playing("lost-after-1")).code == 4);
}

TEST_CASE("--precision rounds the factors of products, and says where it cannot") {
  if (!have_tool()) return;
  const Folder f;
  if (!have_emulation(f)) return;
  const auto with = [](const char* precision, const char* device) {
    return std::string(train) + "--out p.pare --device " + device + " --precision " + precision;
  };
  for (const auto& [command, says] : {std::pair{with("fp16", "cuda-emulated"), "bf16"},
                                      std::pair{with("bf16", "cpu"), "cpu computes in fp32"},
                                      std::pair{with("tf32", "auto"), "--precision tf32 needs"}})
    check_mistake(f, {command.c_str(), 1, says});
  const Outcome old = run(f, with("bf16", "cuda-emulated"), true, "PARE_EMULATED_CAPABILITY=75");
  CAPTURE(old.out);
  CHECK(old.code == 1);
  CHECK(old.out.find("has 7.5") != std::string::npos);
  const auto loss = [&](const char* precision) {
    return result(f, with(precision, "cuda-emulated"), {"epochs"})["epochs"][1]["loss"]
        .get<double>();
  };
  const double exact = loss("fp32");
  for (const auto& [precision, most] : {std::pair{"tf32", 0.005}, std::pair{"bf16", 0.05}}) {
    CAPTURE(precision);
    const double rounded = loss(precision);
    CHECK(rounded != exact);
    CHECK(std::abs(rounded - exact) < most * exact);
  }
}

TEST_CASE("a training whose steps cannot be recorded runs, and says so once") {
  if (!have_tool()) return;
  const Folder f;
  if (!have_emulation(f)) return;
  const std::string command = std::string(train) + "--out m.pare --device ";
  const json recorded = result(f, command + "cuda-emulated", {"replays", "not_recorded", "epochs"});
  CHECK(recorded["replays"] > 0);
  CHECK(recorded["not_recorded"].is_null());
  CHECK(result(f, command + "cpu", {"replays"})["not_recorded"].is_null());
  const Outcome o = run(f, command + "cuda-emulated", true, playing("no-recording"));
  CAPTURE(o.out);
  REQUIRE(o.code == 0);
  const size_t at = o.out.find("not recorded and replayed: an emulated fault");
  CHECK(at != std::string::npos);
  CHECK(o.out.find("not recorded", at + 1) == std::string::npos);
  const Outcome plain = run(f, command + "cuda-emulated --json", false, playing("no-recording"));
  const json j = json::parse(plain.out);
  CHECK(j["replays"] == 0);
  CHECK(j["not_recorded"] == "an emulated fault: work cannot be recorded");
  CHECK(j["epochs"][1]["loss"] == recorded["epochs"][1]["loss"]);
}

TEST_CASE("auto says what it chose, and it is never the emulation") {
  if (!have_tool()) return;
  const Folder f;
  const Outcome o = run(f, std::string(train) + "--device auto --out m.pare", true);
  CAPTURE(o.out);
  CHECK(o.code == 0);
  CHECK(o.out.find("device c") != std::string::npos);
  CHECK(o.out.find("cuda-emulated") == std::string::npos);
}

TEST_CASE("a network trained on the device is saved, evaluated and goes on, here and there") {
  if (!have_tool()) return;
  const Folder f;
  if (!have_emulation(f)) return;
  const Outcome o = run(f, std::string(train) + "--device cuda-emulated --out m.pare", true);
  CAPTURE(o.out);
  REQUIRE(o.code == 0);
  CHECK(o.out.find("device cuda-emulated (CUDA kernels emulated on the CPU") != std::string::npos);
  CHECK(run(f, "eval m.pare").code == 0);
  const Outcome resumed = run(f, "train --resume m.pare.ckpt --device cpu", true);
  CAPTURE(resumed.out);
  CHECK(resumed.code == 0);
  CHECK(resumed.out.find("was written with cuda-emulated kernels") != std::string::npos);
}

TEST_CASE("memory that runs out and a device that is lost leave the checkpoint, which goes on") {
  if (!have_tool()) return;
  const Folder f;
  if (!have_emulation(f)) return;
  const std::string command = std::string(train) + "--device cuda-emulated --out m.pare";
  const Outcome small = run(f, command, true, playing("memory-2000000"));
  CAPTURE(small.out);
  CHECK(small.code == 5);
  CHECK(small.out.find("in use by tensors") != std::string::npos);
  CHECK(small.out.find("smaller --batch") != std::string::npos);
  CHECK_FALSE(fs::exists(f.path / "m.pare"));
  REQUIRE(run(f, command).code == 0);
  // The device is lost later and later, until it is after the first epoch's checkpoint.
  const std::string again = std::string(train) + "--device cuda-emulated --out n.pare";
  for (int launches = 30; !fs::exists(f.path / "n.pare.ckpt"); launches += 15) {
    const Outcome lost = run(f, again, true, playing("lost-after-" + std::to_string(launches)));
    CAPTURE(lost.out);
    REQUIRE(lost.code == 4);
    CHECK(lost.out.find("start again, a training with --resume") != std::string::npos);
  }
  const Outcome on = run(f, "train --resume n.pare.ckpt --device cuda-emulated", true);
  CAPTURE(on.out);
  REQUIRE(on.code == 0);
  CHECK(read_file((f.path / "n.pare").string(), 1 << 30) ==
        read_file((f.path / "m.pare").string(), 1 << 30));
}
