// Which room may include which (docs/architecture.md).
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace fs = std::filesystem;

namespace {

using Rules = std::map<std::string, std::set<std::string>>;

const Rules allowed{
    {"core", {"core"}},
    {"datasets", {"datasets", "core"}},
    {"autograd", {"autograd", "core"}},
    {"layers", {"layers", "autograd", "core"}},
    {"optim", {"optim", "autograd", "core", "datasets"}},  // the trainer reads data sets
    {"compress", {"compress", "optim", "layers", "autograd", "core", "datasets"}},
    {"cuda", {"cuda", "core"}},  // a plug-in: nobody includes it
};
// Single files that a room may include besides: what kernels are given in writing.
const std::set<std::pair<std::string, std::string>> contracts{
    {"cuda", "compress/quantize/arithmetic.h"},
};

// What is wrong with an include of `text`, standing in a file of `room`; "" when nothing is.
std::string complaint(const std::string& room, const std::string& file, const std::string& text) {
  const std::string target = text.substr(0, text.find('/'));
  if (!allowed.contains(target) && target != "tools") return {};
  if (allowed.at(room).contains(target) || contracts.contains({room, text})) return {};
  return file + " includes " + text + ", but " + room + "/ must not depend on " + target + "/";
}

}  // namespace

TEST_CASE("rooms include only rooms below them") {
  const std::regex include("^\\s*#include \"([^\"]+)\"");
  for (const auto& [room, targets] : allowed)
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(PARE_SOURCE_DIR) / room)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path());
      std::string line;
      std::smatch found;
      while (std::getline(in, line))
        if (std::regex_search(line, found, include)) {
          const std::string wrong = complaint(room, entry.path().string(), found[1]);
          CHECK_MESSAGE(wrong.empty(), wrong);
        }
    }
  CHECK(complaint("core", "core/x.cpp", "autograd/op.h") != "");
  CHECK(complaint("layers", "layers/x.cpp", "core/tensor.h") == "");
}
