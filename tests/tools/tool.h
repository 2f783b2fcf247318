// The tool as a user calls it: a folder with a small MNIST of drawn digits, and commands run in it.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/file_io.h"
#include "datasets/digits.h"

namespace pare::testing {

namespace fs = std::filesystem;
using nlohmann::json;

inline bool have_tool() {
  const char* tool = std::getenv("PARE_TOOL");
  if (tool && *tool) return true;
  MESSAGE("skipped: PARE_TOOL does not name the pare tool");
  return false;
}

inline void write_idx(const fs::path& path, std::vector<uint8_t> header, const Tensor& bytes) {
  const std::span<const uint8_t> parts[] = {header, {bytes.data<uint8_t>(), bytes.bytes()}};
  write_file_atomically(path.string(), parts);
}

// A folder with a small MNIST of drawn digits, where the commands run.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("pare commands é " + std::to_string(::getpid()));
  Folder() {
    fs::create_directories(path / "mnist");
    part("train", 1500, 0);
    part("t10k", 300, 5000);
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  void part(const std::string& name, int64_t n, int64_t first) const {
    static std::map<std::pair<int64_t, int64_t>, Examples> drawn;  // once a process
    Examples& e = drawn[{first, n}];
    if (e.size() == 0) e = draw_digits(3, first, n);
    const auto high = uint8_t(n >> 8), low = uint8_t(n & 255);
    write_idx(path / "mnist" / (name + "-images-idx3-ubyte"),
              {0, 0, 8, 3, 0, 0, high, low, 0, 0, 0, 28, 0, 0, 0, 28}, e.images);
    write_idx(path / "mnist" / (name + "-labels-idx1-ubyte"), {0, 0, 8, 1, 0, 0, high, low},
              e.labels.to(DType::u8));
  }
};

struct Outcome {
  int code = 0;
  std::string out;
};

// What a shell command prints, and its exit code; -1: a signal ended it.
inline Outcome capture(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  Outcome o;
  char buffer[4096];
  while (const size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) o.out.append(buffer, n);
  const int status = ::pclose(pipe);
  o.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return o;
}

// Runs `pare ARGS` in the folder; standard error is joined in when asked for. `before` is shell
// code run first (limits, variables).
inline Outcome run(const Folder& folder, const std::string& args, bool errors = false,
                   const std::string& before = "") {
  return capture("cd '" + folder.path.string() + "' && " + before + " PARE_DATA=. '" +
                 std::getenv("PARE_TOOL") + "' " + args + (errors ? " 2>&1" : " 2>/dev/null"));
}

// Runs shell code in the folder, where `pare` is the tool; standard error is joined in. Where pare
// is to be the process itself, in the background say, it is "$PARE_TOOL".
inline Outcome shell(const Folder& folder, const std::string& code) {
  return capture("cd '" + folder.path.string() +
                 "' && export PARE_DATA=. && pare() { \"$PARE_TOOL\" \"$@\"; } && { " + code +
                 "; } 2>&1");
}

inline std::vector<uint8_t> bytes_of(const fs::path& path) {
  return read_file(path.string(), 1 << 30);
}

// A command that is refused: with which code, and a part of what it says.
struct Mistake {
  const char* args;
  int code;
  const char* says;
};
inline void check_mistake(const Folder& folder, const Mistake& mistake) {
  const std::string args = mistake.args, says = mistake.says;
  CAPTURE(args);
  const Outcome o = run(folder, args, true);
  CAPTURE(o.out);
  CHECK(o.code == mistake.code);
  CHECK(o.out.find(says) != std::string::npos);
}

inline json result(const Folder& folder, const std::string& args,
                   std::initializer_list<const char*> keys) {
  const Outcome o = run(folder, args + " --json");
  CAPTURE(args);
  CAPTURE(o.out);
  REQUIRE(o.code == 0);
  const json j = json::parse(o.out);
  for (const char* key : keys) CHECK_MESSAGE(j.contains(key), key);
  return j;
}

}  // namespace pare::testing
