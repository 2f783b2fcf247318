// `pare train` as a process: signals, resuming, exit codes. Skipped where the tool is not built.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

pid_t start(std::vector<std::string> args) {
  args.insert(args.begin(), std::getenv("PARE_TOOL"));
  args.insert(args.end(), {"--quiet", "--json"});
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const int null = ::open("/dev/null", O_WRONLY);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(null, STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

int finish(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Sends a signal shortly after `file` appears, which is in the middle of an epoch.
int signal_after(pid_t pid, const std::string& file, int signal) {
  for (int i = 0; i < 6000 && !fs::exists(file); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ::kill(pid, signal);
  return finish(pid);
}

std::vector<std::string> train(const std::string& out) {
  return {"train", "mlp", "--data", "digits", "--epochs", "2", "--batch", "256", "--out", out};
}

}  // namespace

TEST_CASE("signals and kills lose nothing: a resumed run writes the file of one that was not") {
  if (!have_tool()) return;
  const Folder folder;
  REQUIRE(finish(start(train(folder / "whole.pare"))) == 0);
  const auto expected = read_file(folder / "whole.pare", 1 << 26);
  struct {
    int signal, code;
  } const cases[] = {{SIGINT, 130}, {SIGTERM, 130}, {SIGKILL, 1000 + SIGKILL}};
  for (const auto& c : cases) {
    CAPTURE(c.signal);
    const std::string out = folder / ("s" + std::to_string(c.signal) + ".pare").c_str();
    CHECK(signal_after(start(train(out)), out + ".csv", c.signal) == c.code);
    REQUIRE(fs::exists(out + ".ckpt"));
    CHECK(finish(start({"train", "--resume", out + ".ckpt"})) == 0);
    CHECK(read_file(out, 1 << 26) == expected);
  }
}

TEST_CASE("a rate of 1e10 ends with the code for divergence and writes no model") {
  if (!have_tool()) return;
  const Folder folder;
  auto args = train(folder / "m.pare");
  args.insert(args.end(), {"--lr", "1e10"});
  CHECK(finish(start(args)) == 3);
  CHECK_FALSE(fs::exists(folder / "m.pare"));
}

TEST_CASE("a model is no checkpoint, and a missing file is bad input") {
  if (!have_tool()) return;
  const Folder folder;
  CHECK(finish(start({"train", "--resume", folder / "none.ckpt"})) == 2);
  CHECK(finish(start({"train", "no-such-model"})) == 1);
}
