// Files and numbers in text do not follow the user's locale.
#include <doctest/doctest.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "autograd/graph_file.h"
#include "core/file_io.h"
#include "datasets/dataset.h"
#include "layers/layers.h"

using namespace pare;
namespace fs = std::filesystem;

namespace {

struct GermanLocale {
  fs::path folder = fs::temp_directory_path() / ("pare locale " + std::to_string(::getpid()));
  bool active = false;
  GermanLocale() {
    fs::create_directories(folder);
    const std::string make =
        "localedef -i de_DE -f UTF-8 '" + (folder / "de_DE.UTF-8").string() + "' 2>/dev/null";
    if (std::system(make.c_str()) > 256) return;  // 256: made with warnings
    ::setenv("LOCPATH", folder.c_str(), 1);
    active = std::setlocale(LC_ALL, "de_DE.UTF-8") != nullptr;
  }
  ~GermanLocale() {
    std::setlocale(LC_ALL, "C");
    ::unsetenv("LOCPATH");
    fs::remove_all(folder);
  }
};

}  // namespace

TEST_CASE("a decimal comma changes neither files nor what is read from them") {
  Sequential net;
  net.add<Dense>("fc", 4, 3).add<Dropout>("drop", 0.125).add<BatchNorm2d>("norm", 3);
  initialize(net, 1);
  Graph graph = capture(net, Tensor::zeros({2, 4}));
  const Preprocessing preprocessing{.mean = {0.1307}, .deviation = {0.3081}};
  graph.set_metadata("preprocessing", preprocessing.to_json());

  const GermanLocale locale;
  if (!locale.active) {
    MESSAGE("skipped: localedef cannot make de_DE (Debian's package locales)");
    return;
  }
  char text[16];
  std::snprintf(text, sizeof text, "%.1f", 0.5);
  REQUIRE(std::string(text) == "0,5");

  const std::string german = (locale.folder / "g.pare").string();
  save_graph(graph, german);
  const auto bytes = read_file(german, 1 << 20);
  Graph loaded = load_graph(german);
  CHECK(Preprocessing::from_json(loaded.get_metadata("preprocessing")) == preprocessing);
  CHECK(preprocessing.to_json() == graph.get_metadata("preprocessing"));
  CHECK(message("{}", 0.5) == "0.5");
  CHECK(to_string(loaded) == to_string(graph));

  std::setlocale(LC_ALL, "C");
  const std::string plain = (locale.folder / "c.pare").string();
  save_graph(graph, plain);
  CHECK(read_file(plain, 1 << 20) == bytes);
  CHECK(to_string(load_graph(german)) == to_string(graph));
}
