// Libraries that cannot be loaded are told, and never end the process.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/shared_library.h"

using namespace pare;
namespace fs = std::filesystem;

namespace {

std::string why_not(const std::string& library) {
  std::string why;
  CHECK(open_shared_library(library, why) == nullptr);
  return why;
}

}  // namespace

TEST_CASE("a library that was cut anywhere, or is none, is refused with a reason") {
  const fs::path path = fs::temp_directory_path() / ("library" + std::to_string(::getpid()));
  std::ifstream self("/proc/self/exe", std::ios::binary);  // lies in a file as libraries do
  const std::string whole((std::istreambuf_iterator<char>(self)), {});
  const auto with = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return why_not(path.string());
  };
  for (const size_t size : {size_t(64), size_t(70), size_t(1000), size_t(5000), whole.size() / 4}) {
    CAPTURE(size);
    CHECK(with(whole.substr(0, size)).starts_with("the file was cut: " + std::to_string(size)));
  }
  CHECK(with("") == "file too short");
  CHECK(with(std::string(5000, 'x')) == "invalid ELF header");
  CHECK(with(whole).find("the file was cut") == std::string::npos);
  fs::remove(path);
  CHECK(why_not(path.string()) == "no such file");
  CHECK(why_not("libnosuch.so") != "");
}

TEST_CASE("a library of the system is found by its name") {
  std::string why;
  CHECK(open_shared_library("libc.so.6", why) != nullptr);
  CHECK(why == "");
}
