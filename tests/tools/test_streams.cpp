// Readers that go away and terminals that close: what is computed is saved, the exit code says what
// happened, and nothing is written where it does not belong.
#include "autograd/graph_file.h"
#include "tests/tools/tool.h"

using namespace pare;
using namespace pare::testing;

namespace {

const std::string train = "\"$PARE_TOOL\" train mlp --data mnist --images 200 --threads 1 ";

}  // namespace

TEST_CASE("lost standard error changes nothing, lost standard output ends with 5 after the save") {
  if (!have_tool()) return;
  const Folder f;
  struct {
    const char* streams;
    int code;
  } const cases[] = {{">/dev/null 2>&-", 0}, {">/dev/null 2>/dev/full", 0}, {">&- 2>&-", 5},
                     {">&- 2>/dev/null", 5}, {">/dev/full 2>/dev/full", 5}, {"<&- >&- 2>&-", 5}};
  for (const auto& c : cases) {
    CAPTURE(c.streams);
    fs::remove(f.path / "m.pare");
    CHECK(shell(f, train + "--epochs 1 --out m.pare " + c.streams).code == c.code);
    CHECK_NOTHROW(load_graph((f.path / "m.pare").string()));
    CHECK_NOTHROW(load_graph((f.path / "m.pare.ckpt").string()));
  }
  // A reader that goes away: of progress, and of the result.
  const auto piped = [&](const std::string& streams) {
    return shell(f, "{ " + train + "--epochs 3 --out p.pare " + streams +
                        "; echo $? > code; } | true; exit $(cat code)")
        .code;
  };
  CHECK(piped("2>&1 >/dev/null") == 0);
  CHECK(piped("2>/dev/null") == 5);
  for (const char* command : {"summary mlp", "data list", "doctor", "data show digits"}) {
    CAPTURE(command);
    const std::string pare = std::string("\"$PARE_TOOL\" ") + command;
    CHECK(shell(f, pare + " >/dev/full 2>/dev/null").code == 5);
    CHECK(shell(f, pare + " --json >&- 2>/dev/null").code == 5);
    CHECK(shell(f, pare + " >/dev/null 2>/dev/full").code == 0);
  }
  // Errors and help.
  CHECK(shell(f, "\"$PARE_TOOL\" eval none.pare 2>/dev/full").code == 2);
  CHECK(shell(f, "\"$PARE_TOOL\" eval none.pare 2>&-").code == 2);
  CHECK(shell(f, "\"$PARE_TOOL\" train --nonsense 2>/dev/full").code == 1);
  CHECK(shell(f, "\"$PARE_TOOL\" --help >/dev/full 2>/dev/null").code == 5);
  CHECK(shell(f, "\"$PARE_TOOL\" train --help >&- 2>/dev/null").code == 5);
  CHECK(shell(f, "\"$PARE_TOOL\" --version >/dev/full 2>/dev/null").code == 5);
}

TEST_CASE("a signal while the result waits for its reader does not cut it, a second one ends") {
  if (!have_tool()) return;
  const Folder f;
  // Nobody reads the pipe: the result, which is longer than that holds, waits.
  const auto signals = [&](const std::string& kill) {
    return shell(f,
                 "rm -f p; mkfifo p; exec 3<>p; \"$PARE_TOOL\" data show digits --count 1000 >p & "
                 "pid=$!; "
                 "head -c 1 <&3 >/dev/null; sleep 0.1; " +
                     kill + "wait $pid")
        .code;
  };
  const std::string one = "kill -INT $pid; sleep 0.1; ", read = "cat <&3 >all & c=$!; ";
  CHECK(signals(one + "kill -TERM $pid; ") == 130);
  CHECK(signals(one + read + "wait $pid; r=$?; kill $c; exit $r; ") == 0);
}

TEST_CASE("a terminal that closes saves and ends with 130, unless that is ignored") {
  if (!have_tool()) return;
  const Folder f;
  const auto hang_up = [&](const std::string& before, const std::string& out,
                           const std::string& epochs) {
    return shell(f, before + train + "--quiet --epochs " + epochs + " --out " + out +
                        " >/dev/null & pid=$!; while [ ! -e " + out +
                        ".csv ] && kill -0 $pid; do sleep 0.01; done; kill -HUP $pid; kill -HUP "
                        "$pid; wait $pid")
        .code;
  };
  CHECK(hang_up("", "h.pare", "100000") == 130);
  CHECK(fs::exists(f.path / "h.pare.ckpt"));
  CHECK(hang_up("trap '' HUP; ", "n.pare", "30") == 0);
}
