// What the machine can do to a command: full disks, folders that cannot be written, losses that
// explode, nonsense in the environment. Every time the files that were there stay as they were.
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("what cannot be written leaves the old model, no half one, and exit code 5") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train mlp --data mnist --epochs 1 --out m.pare").code == 0);
  const auto model = bytes_of(f.path / "m.pare"), checkpoint = bytes_of(f.path / "m.pare.ckpt");
  const auto names = files_in(f.path);
  // A disk that takes 64 KiB of the megabyte. (A limit on the file size fails the same write.)
  const std::string full = "ulimit -f 64;";
  for (const char* command :
       {"train mlp --data mnist --epochs 1 --seed 2 --out m.pare",
        "prune m.pare --sparsity 0.1 --epochs 0 --out m.pare", "quantize m.pare --out m.pare"}) {
    CAPTURE(command);
    const Outcome o = run(f, command, true, full);
    CAPTURE(o.out);
    CHECK(o.code == 5);
    CHECK(o.out.find("m.pare") != std::string::npos);
    CHECK(bytes_of(f.path / "m.pare") == model);
    CHECK(bytes_of(f.path / "m.pare.ckpt") == checkpoint);
    CHECK(files_in(f.path) == names);
  }
  for (const char* out : {"/proc/m.pare", "m.pare/inside.pare", "mnist"}) {
    CAPTURE(out);
    const Outcome o = run(f, std::string("train mlp --data mnist --epochs 1 --out ") + out, true);
    CAPTURE(o.out);
    CHECK(o.code == 5);
    CHECK(o.out.find(out) != std::string::npos);
  }
  if (::geteuid() != 0) {  // root writes where others cannot
    fs::create_directory(f.path / "locked");
    fs::permissions(f.path / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    CHECK(run(f, "train mlp --data mnist --epochs 1 --out locked/m.pare").code == 5);
    fs::permissions(f.path / "locked", fs::perms::owner_all);
  }
}

TEST_CASE("a run that diverges ends with code 3, names the layer, and keeps what was saved") {
  if (!have_tool()) return;
  const Folder f;
  REQUIRE(run(f, "train lenet5-classic --data mnist --epochs 1 --out m.pare").code == 0);
  const auto model = bytes_of(f.path / "m.pare"), checkpoint = bytes_of(f.path / "m.pare.ckpt");
  const Outcome o = run(
      f, "train lenet5-classic --data mnist --optim sgd --lr 1e10 --epochs 1 --out m.pare", true);
  CAPTURE(o.out);
  CHECK(o.code == 3);
  CHECK((o.out.find("conv") != std::string::npos || o.out.find("fc") != std::string::npos));
  CHECK(bytes_of(f.path / "m.pare") == model);
  CHECK(bytes_of(f.path / "m.pare.ckpt") == checkpoint);
}

TEST_CASE("empty data, and nonsense in the environment") {
  if (!have_tool()) return;
  const Folder f;
  const auto fails = [&](const std::string& before, int code, const char* says) {
    const Outcome o = run(f, "train mlp --data mnist --epochs 1 --out n.pare", true, before);
    CAPTURE(before);
    CAPTURE(o.out);
    CHECK(o.code == code);
    CHECK(o.out.find(says) != std::string::npos);
    CHECK(!fs::exists(f.path / "n.pare"));
  };
  fails("PARE_ISA=avx1024", 1,
        "error: PARE_ISA is 'avx1024'; it takes amx_int8, "
        "avx512_vnni, avx512, avx2_vnni, avx2, scalar");
  fails("PARE_BLAS=/no/such/library.so", 1, "error: PARE_BLAS: /no/such/library.so");
  const std::vector<uint8_t> none{0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28};
  const std::span<const uint8_t> part(none);
  write_file_atomically((f.path / "mnist/train-images-idx3-ubyte").string(), {&part, 1});
  const std::vector<uint8_t> no_labels{0, 0, 8, 1, 0, 0, 0, 0};
  const std::span<const uint8_t> labels(no_labels);
  write_file_atomically((f.path / "mnist/train-labels-idx1-ubyte").string(), {&labels, 1});
  fails("", 2, "train");
}
