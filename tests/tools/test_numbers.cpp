// A model file knows what its numbers mean, in every command.
#include "autograd/graph_file.h"
#include "datasets/image.h"
#include "optim/model_facts.h"
#include "tests/support/npz_files.h"
#include "tests/support/quarters.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

void write(const Folder& f, const std::string& name, const std::vector<uint8_t>& bytes) {
  const std::span<const uint8_t> part(bytes);
  write_file_atomically((f.path / name).string(), {&part, 1});
}

// The quarters as bytes and as floats, and one picture of each class.
void quarters_in(const Folder& f) {
  const Dataset& q = quarters();
  const auto floats = [&](double factor, double offset) {
    return npz_of(as_floats(q.train, factor, offset), as_floats(q.test, factor, offset));
  };
  write(f, "u8.npz", npz_of(q.train, q.test));
  write(f, "01.npz", floats(1.0 / 255, 0));
  write(f, "paper.npz", floats(-1.0 / 255, 1));
  write(f, "micro.npz", floats(1e-7 / 255, 0));
  for (int64_t label = 0; label < 4; ++label) {
    int64_t i = 0;
    while (q.test.labels.data<int32_t>()[i] != label) ++i;
    const uint8_t* x = q.test.images.data<uint8_t>() + i * 256;
    write_png({16, 16, 1, {x, x + 256}}, (f.path / (std::to_string(label) + ".png")).string());
  }
}

double accuracy(const Folder& f, const std::string& args) {
  return result(f, "eval " + args, {"accuracy"})["accuracy"].get<double>();
}

constexpr const char* training =
    " --epochs 6 --batch 16 --optim adamw --lr 0.01 --quiet --threads 1";

}  // namespace

TEST_CASE("predict, eval, quantize and distill take the same pictures as bytes and as floats") {
  if (!have_tool()) return;
  const Folder f;
  quarters_in(f);
  REQUIRE(run(f, std::string("train mlp --data npz:01.npz --out m.pare") + training).code == 0);
  CHECK(accuracy(f, "m.pare") > 0.9);
  CHECK(accuracy(f, "m.pare --data npz:u8.npz") > 0.9);
  const json told = result(f, "predict m.pare 0.png 1.png 2.png 3.png", {"predictions"});
  for (int i = 0; i < 4; ++i) CHECK(told["predictions"][size_t(i)]["class"] == std::to_string(i));
  result(f, "quantize m.pare --data npz:u8.npz --threads 1 --out m8.pare", {"accuracy_after"});
  CHECK(accuracy(f, "m8.pare --data npz:01.npz") > 0.9);
  REQUIRE(
      run(f, std::string("distill mlp --teacher m.pare --data npz:u8.npz --out s.pare") + training)
          .code == 0);
  CHECK(accuracy(f, "s.pare --data npz:01.npz") > 0.9);

  REQUIRE(run(f, std::string("train mlp --data npz:micro.npz --out x.pare") + training).code == 0);
  CHECK(accuracy(f, "x.pare") > 0.9);
  for (const Mistake& m : {Mistake{"eval x.pare --data npz:u8.npz", 2, "unknown unit"},
                           Mistake{"predict x.pare 0.png", 2, "bytes, black 0 and white 255"},
                           Mistake{"eval m.pare --data npz:micro.npz", 2, "pixel_range"},
                           Mistake{"eval m.pare --axes xyz", 1, "--axes"}})
    check_mistake(f, m);
  CHECK(accuracy(f, "m.pare --data npz:micro.npz --pixel-range 0 1e-7") > 0.9);
}

TEST_CASE("classes and their names are the model's in what every command writes") {
  if (!have_tool()) return;
  const Folder f;
  fs::copy(f.path / "mnist", f.path / "fashion-mnist", fs::copy_options::recursive);
  REQUIRE(run(f, "train mlp --data fashion-mnist --epochs 1 --quiet --out m.pare").code == 0);
  const Examples few = draw_digits(3, 0, 40);
  write(f, "few.npz", npz_of(few, few));
  const auto named = [&](const std::string& file) {
    return class_names(load_graph((f.path / file).string()));
  };
  const auto names = named("m.pare");
  REQUIRE(names.at(0) == "T-shirt/top");
  const std::string data = " --data npz:few.npz --quiet --threads 1 --out z.pare";
  for (const char* args : {"quantize m.pare", "prune m.pare --sparsity 0.5 --epochs 0",
                           "train m.pare --epochs 1", "distill mlp --teacher m.pare --epochs 1"}) {
    CAPTURE(args);
    fs::remove(f.path / "z.pare");
    CHECK(run(f, args + data, true).code == 0);
    CHECK(named("z.pare") == names);
  }
}

TEST_CASE("the order of axes is asked once, and stands in the model") {
  if (!have_tool()) return;
  const Folder f;
  Examples bands{Tensor::empty({24, 16, 16, 6}, DType::u8), Tensor::empty({24}, DType::i32)};
  for (int64_t i = 0; i < 24; ++i) {
    bands.labels.data<int32_t>()[i] = int32_t(1 + i % 2);
    for (int64_t k = 0; k < 1536; ++k)
      bands.images.data<uint8_t>()[i * 1536 + k] = uint8_t(100 * (i % 2) + k % 6 * 20);
  }
  write(f, "bands.npz", npz_of(bands, bands));
  check_mistake(f, {"data show npz:bands.npz", 2, "24x16x16x6"});
  check_mistake(f, {"train mlp --data npz:bands.npz", 2, "--axes hwc"});
  const Outcome shown = run(f, "data show npz:bands.npz --axes hwc --count 0");
  CHECK(shown.out.find("6x16x16") != std::string::npos);
  const Outcome o =
      run(f, "train mlp --data npz:bands.npz --axes hwc --epochs 1 --out b.pare", true);
  CHECK(o.code == 0);
  CHECK(o.out.find("1 of 3 classes has no training image") != std::string::npos);
  CHECK(result(f, "eval b.pare", {"accuracy"})["examples"] == 24);
}
