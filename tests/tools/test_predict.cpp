// pare predict: encodings, notes, pictures that cannot be read, and what the network saw.
#include <cmath>

#include "autograd/graph_file.h"
#include "datasets/image.h"
#include "layers/layers.h"
#include "tests/support/png_bytes.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

void write(const fs::path& path, const Bytes& bytes) {
  const std::span<const uint8_t> part(bytes);
  write_file_atomically(path.string(), {&part, 1});
}

}  // namespace

TEST_CASE("one bad picture among many loses only itself") {
  if (!have_tool()) return;
  const Folder f;
  result(f, "train mlp --data mnist --images 200 --epochs 1 --out m.pare", {});
  const Bytes digit = draw_digits(3, 5000, 1).images.to_vector<uint8_t>();
  Bytes inverted = digit;
  for (uint8_t& v : inverted) v = uint8_t(255 - v);
  std::vector<uint32_t> deep;
  for (const uint8_t v : digit) deep.push_back(257u * v);
  write_png({28, 28, 1, digit}, (f.path / "a.png").string());
  write_png({28, 28, 1, inverted}, (f.path / "b.png").string());
  write(f.path / "c.png", png_bytes(28, 28, {16, 0}, deep));
  write(f.path / "d.png", {0xFF, 0xD8, 0xFF, 0xE0});

  const std::string args = "predict m.pare a.png d.png b.png none.png c.png --show seen.png";
  const Outcome o = run(f, args + " --json");
  CHECK(o.code == 2);
  const json answer = json::parse(o.out);  // one object
  const json& all = answer["predictions"];
  REQUIRE(all.size() == 5);
  CHECK(all[0]["notes"].empty());
  CHECK(all[1] == json({{"file", "d.png"}, {"error", "d.png: a JPEG image; pare reads PNG"}}));
  CHECK(all[2]["notes"].size() == 1);
  CHECK(all[3]["error"] == "none.png: no such file");
  CHECK(all[4]["class"] == all[0]["class"]);
  CHECK(all[4]["probability"] == all[0]["probability"]);
  CHECK(answer["error"] == "2 of 5 pictures have no answer");
  CHECK(answer["code"] == 2);
  CHECK(answer["show"] == "seen.png");
  // The three that were read, four times as large.
  const Image seen = read_png((f.path / "seen.png").string());
  CHECK(seen.height == 112);
  CHECK(seen.width == 3 * 112 + 4);
  for (const int64_t i : {100, 300, 500, 783}) {
    const int64_t at = i / 28 * 4 * seen.width + i % 28 * 4;
    CHECK(seen.pixels[size_t(at)] == digit[size_t(i)]);
    CHECK(seen.pixels[size_t(at + 114)] == inverted[size_t(i)]);
    CHECK(seen.pixels[size_t(at + 228)] == digit[size_t(i)]);
  }
  const std::string said = run(f, args, true).out;
  for (const char* part : {"note: b.png: it is dark on light", "error: d.png: a JPEG image",
                           "error: none.png: no such file",
                           "\na.png:  ", "\nc.png:  ", "error: 2 of 5 pictures have no answer"})
    CHECK_MESSAGE(said.find(part) != std::string::npos, part);
  CHECK(result(f, "predict m.pare a.png", {})["predictions"][0] == all[0]);
  const json top = result(f, "predict m.pare a.png --top 2", {})["predictions"][0]["top"];
  REQUIRE(top.size() == 2);
  CHECK(top[0]["class"] == all[0]["class"]);
  CHECK(top[0]["probability"] > top[1]["probability"]);
}

TEST_CASE("predict refuses what is no classifier of images, and overwrites nothing that it reads") {
  if (!have_tool()) return;
  const Folder f;
  write_png({2, 2, 1, {0, 9, 9, 0}}, (f.path / "a.png").string());
  const auto save = [&](const char* name, Module& module, const Shape& input) {
    Graph graph = capture(module, Tensor::zeros(input));
    graph.set_metadata("preprocessing", Preprocessing{}.to_json());
    save_graph(graph, (f.path / name).string());
  };
  Flatten flatten;
  MaxPool2d pool(1);
  save("pixels.pare", flatten, {1, 1, 2, 2});
  save("rows.pare", flatten, {1, 4});
  save("two.pare", flatten, {1, 2, 2, 2});
  save("maps.pare", pool, {1, 1, 2, 2});
  const Mistake cases[] = {
      {"predict rows.pare a.png", 2, "no images"},
      {"predict two.pare a.png", 2, "no images of 1 or 3 channels"},
      {"predict maps.pare a.png", 2, "no scores of classes"},
      {"predict pixels.pare a.png --show ./a.png", 1, "overwrite"},
      {"predict pixels.pare a.png --show pixels.pare", 1, "overwrite"},
      {"predict pixels.pare a.png b.png --show no/such/x.png", 5, "no folder no/such/"},
  };
  for (const Mistake& c : cases) check_mistake(f, c);
  const json one = result(f, "predict pixels.pare a.png --show b.png", {"show"})["predictions"][0];
  CHECK(one["class"] == "1");
  const double e = std::exp(9 / 255.0);
  CHECK(one["probability"].get<double>() == doctest::Approx(e / (2 + 2 * e)).epsilon(1e-6));
  CHECK(read_png((f.path / "a.png").string()).pixels == Bytes{0, 9, 9, 0});
}
