// docs/common-mistakes.md: what pare answers to the mistakes of a first hour, from real runs.
// scripts/common-mistakes writes the page; here it must be what is answered.
#include <zlib.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "autograd/graph_file.h"
#include "autograd/ops.h"
#include "datasets/image.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

struct Slip {
  const char* mistake;
  const char* args;
};

constexpr Slip slips[] = {
    {"a command misspelt", "trian lenet5"},
    {"an option misspelt", "train lenet5 --epoch 3"},
    {"a network that is not known", "train lenet6"},
    {"data that were never downloaded", "train resnet20 --data cifar10 --data-dir data"},
    {"data misspelt", "train mlp --data minst"},
    {"a fraction of an epoch", "train mlp --data mnist --epochs 2.5"},
    {"an option of another optimizer", "train mlp --data mnist --optim adamw --momentum 0.9"},
    {"a learning rate far too high", "train mlp --data mnist --lr 1000 --optim sgd --out l.pare"},
    {"a device by another name", "train mlp --data mnist --device gpu"},
    {"a model that was moved", "eval models/m.pare"},
    {"a file that was cut while it was copied", "eval cut.pare"},
    {"a network that answers NaN", "eval nan.pare"},
    {"pictures of another size", "eval m.pare --data npz:small.npz"},
    {"pictures standardized already, for a model trained on bytes",
     "eval m.pare --data npz:floats.npz"},
    {"channels last, where the first axis may be meant", "data show npz:bands.npz --count 0"},
    {"dark digits on white, for a model of light on dark", "predict m.pare paper.png"},
    {"a photograph that is no PNG", "predict m.pare photo.jpg"},
    {"the output named like the data", "train mlp --data npz:mine.npz --out mine.npz"},
    {"percent where a share is meant", "prune m.pare --sparsity 90"},
    {"further training of an integer file", "train int8.pare --epochs 1"},
    {"epochs for a calibration, which has none", "quantize m.pare --epochs 3"},
    {"a run resumed on other data", "train --resume run.pare.ckpt"},
};

std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i, value >>= 8) out += char(value & 255);
  return out;
}

// An archive member as NumPy writes it; `dims` as in "4, 2, 3".
std::string npy(const std::string& type, const std::string& dims, const std::string& data) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + dims + "), }";
  header += std::string(63 - (header.size() + 10) % 64, ' ') + "\n";
  return std::string("\x93NUMPY\1\0", 8) + little(header.size(), 2) + header + data;
}

void write_npz(const fs::path& path, const std::string& images_type, const std::string& image_dims,
               const std::string& images, const std::string& labels) {
  std::string out, directory;
  const std::string n = std::to_string(labels.size());
  int members = 0;
  for (const char* part : {"train", "test"})
    for (const bool of_images : {true, false}) {
      const std::string name = std::string(part) + (of_images ? "_images.npy" : "_labels.npy");
      const std::string data =
          of_images ? npy(images_type, n + ", " + image_dims, images) : npy("|u1", n + ",", labels);
      const uint64_t crc = crc32(0, reinterpret_cast<const Bytef*>(data.data()), uInt(data.size()));
      const std::string common = little(20, 2) + little(0, 8) + little(crc, 4) +
                                 little(data.size(), 4) + little(data.size(), 4) +
                                 little(name.size(), 2) + little(0, 2);
      directory += "PK\1\2" + little(20, 2) + common + little(0, 10) + little(out.size(), 4) + name;
      out += "PK\3\4" + common + name + data;
      ++members;
    }
  std::ofstream(path, std::ios::binary)
      << out << directory << "PK\5\6" << little(0, 4) << little(uint64_t(members), 2)
      << little(uint64_t(members), 2) << little(directory.size(), 4) << little(out.size(), 4)
      << little(0, 2);
}

void draw(const Folder& f) {
  constexpr int64_t count = 40;
  const Examples digits = draw_digits(3, 0, count);
  const std::vector<uint8_t> pixels = digits.images.to_vector<uint8_t>();
  std::string bytes(pixels.begin(), pixels.end()), labels, other, floats;
  for (const int32_t label : digits.labels.to_vector<int32_t>()) {
    labels += char(label);
    other += char(9 - label);
  }
  for (const uint8_t p : pixels) {
    const float x = (float(p) / 255 - 0.13f) / 0.31f;
    floats.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
  write_npz(f.path / "mine.npz", "|u1", "28, 28", bytes, labels);
  write_npz(f.path / "floats.npz", "<f4", "28, 28", floats, labels);
  write_npz(f.path / "small.npz", "|u1", "16, 16", bytes.substr(0, size_t(count) * 256), labels);
  write_npz(f.path / "bands.npz", "|u1", "14, 7, 8", bytes, labels);
  write_npz(f.path / "run.npz", "|u1", "28, 28", bytes, labels);
  REQUIRE(run(f, "train mlp --data mnist --images 200 --epochs 1 --out m.pare").code == 0);
  REQUIRE(run(f, "quantize m.pare --out int8.pare").code == 0);
  REQUIRE(run(f, "train mlp --data npz:run.npz --epochs 1 --out run.pare").code == 0);
  write_npz(f.path / "run.npz", "|u1", "28, 28", bytes, other);
  fs::copy(f.path / "m.pare", f.path / "cut.pare");
  fs::resize_file(f.path / "cut.pare", 100000);
  Graph graph = load_graph((f.path / "m.pare").string());
  for (auto& [name, p] : named_parameters(graph))
    if (p.value().rank() == 2) p.value().copy_from(mul_scalar(p.value(), 1e19));
  save_graph(graph, (f.path / "nan.pare").string());
  std::vector<uint8_t> paper(pixels.begin(), pixels.begin() + 784);
  for (uint8_t& p : paper) p = uint8_t(255 - p);
  write_png({28, 28, 1, paper}, (f.path / "paper.png").string());
  std::ofstream(f.path / "photo.jpg") << "\xff\xd8\xff\xe0 a photograph";
}

// The errors and notes that a command says, and how it ends. Losses are left out: their last digits
// are the processor's.
std::string row(const Folder& f, const Slip& slip) {
  const Outcome o = run(f, std::string(slip.args) + " --threads 1", true);
  std::istringstream lines(o.out);
  std::string said;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("error:") || line.starts_with("note:"))
      said += (said.empty() ? "" : "<br>") + ("`" + line + "`");
  if (o.code == 3) said = std::regex_replace(said, std::regex("[0-9]+\\.[0-9e+]+"), "...");
  return std::string("| ") + slip.mistake + " | `pare " + slip.args + "` | " + said + " | " +
         std::to_string(o.code) + " |\n";
}

}  // namespace

TEST_CASE("the page of common mistakes holds what pare answers") {
  if (!have_tool()) return;
  const char* path = std::getenv("PARE_MISTAKES_PAGE");
  if (!path) {
    MESSAGE("skipped: PARE_MISTAKES_PAGE does not name docs/common-mistakes.md");
    return;
  }
  const Folder f;
  draw(f);
  std::string page =
      "# The mistakes of a first hour\n\n"
      "What pare answers to them, from runs of the commands (`scripts/common-mistakes` writes this "
      "page; a test holds it\nto what is answered). `m.pare` is an `mlp` trained on bytes, light "
      "digits on dark. The last column is the exit\ncode; see [the command "
      "line](command-line.md).\n\n"
      "| mistake | command | answer | exit code |\n| --- | --- | --- | ---: |\n";
  for (const Slip& slip : slips) page += row(f, slip);
  if (std::getenv("PARE_MISTAKES_WRITE")) std::ofstream(path) << page;
  std::ifstream in(path);
  const std::string there((std::istreambuf_iterator<char>(in)), {});
  std::istringstream wanted(page), found(there);
  for (std::string w, t; std::getline(wanted, w);) {
    std::getline(found, t);
    CHECK(t == w);
  }
  CHECK_MESSAGE(there == page, "scripts/common-mistakes writes the page anew");
}
