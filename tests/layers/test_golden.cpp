// Files written once and kept: the format must not drift unnoticed.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "autograd/graph_file.h"
#include "compress/prune/prune.h"
#include "compress/quantize/quantize.h"
#include "layers/layers.h"

using namespace pare;

namespace {

const std::string golden = std::string(PARE_SOURCE_DIR) + "/tests/golden/";

// One of everything a file can hold: convolution, buffers, a mask, metadata.
Graph sample() {
  Sequential net;
  net.add<Conv2d>("conv", 1, 2, 3, Conv2dOptions{.padding = 1}, false)
      .add<BatchNorm2d>("norm", 2, true)
      .add<MaxPool2d>("pool", 2)
      .add<Flatten>("flatten")
      .add<Dense>("fc", 8, 3);
  for (auto& [name, p] : named_parameters(net))
    for (int64_t i = 0; i < p.value().elements(); ++i)
      p.value().data<float>()[i] = float((i * 37 + int64_t(name.size())) % 19 - 9) / 8;
  Graph g = capture(net, Tensor::zeros({1, 1, 4, 4}));
  prune(g, Magnitude(), {.sparsity = 0.5});
  g.set_metadata("model", "golden");
  g.set_metadata("classes", "[\"a\",\"b\",\"ü\"]");
  return g;
}

Tensor input() {
  const Tensor x = Tensor::empty({2, 1, 4, 4});
  for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = float(i % 7) / 4 - 0.75f;
  return x;
}

void holds(Graph graph, const std::string& name) {
  const std::string path = golden + name;
  if (std::getenv("PARE_WRITE_GOLDEN")) save_graph(graph, path);
  const auto fresh =
      std::filesystem::temp_directory_path() / ("golden" + std::to_string(::getpid()) + name);
  save_graph(graph, fresh.string());
  CHECK(read_file(fresh.string(), 1 << 20) == read_file(path, 1 << 20));
  std::filesystem::remove(fresh);
  Graph loaded = load_graph(path);
  CHECK(to_string(loaded) == to_string(graph));
  CHECK(loaded(input()).to_vector<float>() == graph(input()).to_vector<float>());
}

}  // namespace

TEST_CASE("golden model files are read, and written again byte for byte") {
  holds(sample(), "pruned.pare");
  Graph quantized = sample();
  quantize(quantized, calibrate(quantized, {input()}));
  holds(quantized.clone(), "fake_quantized.pare");
  holds(lower(quantized), "int8.pare");
}

// A fuzzer starts from them: seeds that are refused lead it nowhere.
TEST_CASE("the fuzzer's seeds with masks in every code are whole models") {
  for (const char* name : {"gaps", "gaps-int8", "tiles", "tiles-int8", "runs"}) {
    CAPTURE(name);
    const std::string path = std::string(PARE_SOURCE_DIR) + "/tests/fuzz/seeds/model/" + name;
    Graph loaded = load_graph(path);
    CHECK_NOTHROW(loaded(Tensor::full(loaded.input_shape(1), 0.5)));
  }
}
