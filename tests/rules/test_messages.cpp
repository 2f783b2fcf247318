// Patterns of messages (core/error.h) know {} alone; a format in the braces would be printed as it
// stands.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace fs = std::filesystem;

namespace {

// The first text with such a format that no fmt function takes, with its statement; "" without one.
std::string wrong_pattern(const std::string& source) {
  for (size_t at = source.find("{:"); at != std::string::npos; at = source.find("{:", at + 1)) {
    size_t start = 0;
    for (const char* end : {";\n", "{\n", "}\n"})
      if (const size_t last = source.rfind(end, at); last != std::string::npos)
        start = std::max(start, last + 2);
    const std::string statement = source.substr(start, source.find('\n', at) - start);
    if (statement.find("fmt::") == std::string::npos &&
        statement.find("note(") == std::string::npos)
      return statement;
  }
  return {};
}

}  // namespace

TEST_CASE("the rule finds a format in a pattern") {
  CHECK(wrong_pattern("f();\nreturn message(\"{:.4g} us\", us);\n") ==
        "return message(\"{:.4g} us\", us);");
  CHECK(wrong_pattern("note(\"{}\", b);\ncheck(a,\n\"is {:08x}\", a);") != "");
  CHECK(wrong_pattern(
            "note(a, \"{:.4g}\", b);\ncheck(ok, \"{}\",\nfmt::format(\"{:.4g}\", us));") == "");
}

TEST_CASE("messages have no formats in their braces") {
  int files = 0;
  for (const char* room :
       {"core", "autograd", "layers", "optim", "compress", "datasets", "cuda", "tools"})
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(PARE_SOURCE_DIR) / room)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      std::ifstream in(entry.path());
      const std::string text((std::istreambuf_iterator<char>(in)), {});
      CAPTURE(entry.path().string());
      CHECK(wrong_pattern(text) == "");
      ++files;
    }
  CHECK(files > 100);
}
