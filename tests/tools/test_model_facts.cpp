// What a model file says about itself stays true: its data, the images held out, where it is
// written. And files are written safely: links, modes and what killed processes left behind.
#include "autograd/graph_file.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

std::string metadata(const Folder& f, const std::string& file, const std::string& key) {
  return load_graph((f.path / file).string()).get_metadata(key);
}

void small_digits(const Folder& f) {
  // The generated digits at their full size would take long; the same images under another name do.
  fs::copy(f.path / "mnist", f.path / "fashion-mnist", fs::copy_options::recursive);
}

}  // namespace

TEST_CASE("a model trained on with other data says so, and stands beside the one it came from") {
  if (!have_tool()) return;
  const Folder f;
  small_digits(f);
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --holdout 0.2 --out m.pare").code == 0);
  const auto first = read_file((f.path / "m.pare").string(), 1 << 28);
  CHECK(metadata(f, "m.pare", "holdout") == "0.2");
  const json j = result(f, "train m.pare --data fashion-mnist --epochs 1", {"data", "file"});
  CHECK(j["file"] == "m-trained.pare");
  CHECK(read_file((f.path / "m.pare").string(), 1 << 28) == first);
  CHECK(metadata(f, "m-trained.pare", "data") == "fashion-mnist");
  CHECK(metadata(f, "m-trained.pare", "classes").find("sneaker") != std::string::npos);
  // The share that was held out stays held out.
  REQUIRE(run(f, "prune m.pare --sparsity 0.5 --epochs 1 --out p.pare").code == 0);
  CHECK(metadata(f, "p.pare", "holdout") == "0.2");
  CHECK(metadata(f, "p.pare", "data") == "mnist");
}

TEST_CASE("a resumed run writes the file it names") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  const json j = result(f, "train --resume m.pare.ckpt --out other.pare", {"file"});
  CHECK(j["file"] == "other.pare");
  CHECK(fs::exists(f.path / "other.pare"));
  CHECK(result(f, "eval other.pare", {"accuracy"})["accuracy"] == j["test_accuracy"]);
}

TEST_CASE("data with other classes than the model's are bad input") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  const std::string labels = (f.path / "mnist/t10k-labels-idx1-ubyte").string();
  auto bytes = read_file(labels, 1 << 20);
  bytes[20] = 10;
  const std::span<const uint8_t> part(bytes);
  write_file_atomically(labels, {&part, 1});
  const Outcome o = run(f, "eval m.pare", true);
  CAPTURE(o.out);
  CHECK(o.code == 2);
}

TEST_CASE("results that cannot be printed, and signals") {
  if (!have_tool()) return;
  const Folder f;
  CHECK(run(f, "doctor --json > /dev/full").code == 5);
  CHECK(run(f, "summary mlp >&-").code == 5);
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  CHECK(run(f, "quantize m.pare --method qat --epochs 1000 --out q.pare", false,
            "timeout --preserve-status -s TERM 3 env")
            .code == 130);
  CHECK(!fs::exists(f.path / "q.pare"));
  CHECK(run(f, "train mlp --alpha 0.5").code == 1);  // of no teacher
}

TEST_CASE("paths that are no UTF-8, links, and what killed processes left") {
  if (!have_tool()) return;
  const Folder f;
  CHECK(run(f, "train mlp --data mnist --epochs 1 --out $'caf\\xe9.pare'", true, "set -f;").code ==
        0);
  const fs::path real = f.path / "real.pare", link = f.path / "link.pare";
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out real.pare").code == 0);
  fs::permissions(real, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("real.pare", link);
  const fs::path left = f.path / "real.pare.123.pare-tmp";
  const std::vector<uint8_t> half(10);
  const std::span<const uint8_t> part(half);
  write_file_atomically(left.string(), {&part, 1});
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --seed 2 --out link.pare").code == 0);
  CHECK(fs::is_symlink(link));
  CHECK(fs::status(real).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(!fs::exists(left));
}
