#include "tools/outcome.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "core/json.h"
#include "core/streams.h"

namespace pare::tool {
namespace {

std::atomic<bool> json_failures{false};
std::atomic<bool> ended{false};  // whoever sets it has standard output to itself

constexpr char interrupted_object[] = "{\"error\":\"interrupted by a signal\",\"code\":130}\n";

void on_signal(int) {
  static std::atomic<bool> asked{false};
  if (ended.exchange(true)) {  // the result is on its way; who asks twice means it
    if (asked.exchange(true)) std::_Exit(int(ErrorCode::interrupted));
    return;
  }
  if (json_failures) {
    const ssize_t lost = ::write(STDOUT_FILENO, interrupted_object, sizeof interrupted_object - 1);
    static_cast<void>(lost);
  }
  std::_Exit(int(ErrorCode::interrupted));
}

}  // namespace

void fail_in_json(bool wanted) { json_failures = wanted; }

void end_on_signals() {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, on_signal);
  if (std::signal(SIGHUP, on_signal) == SIG_IGN) std::signal(SIGHUP, SIG_IGN);  // nohup
}

void print_output(const std::string& text) {
  if (ended.exchange(true))
    for (;;) ::pause();  // a signal on another thread is ending the process
  answer(text);
}

int report_failure(ErrorCode code, const std::string& text) {
  if (!ended.exchange(true) && json_failures) try {
      answer(to_text({{"error", text}, {"code", int(code)}}));
    } catch (const Error&) {  // standard error may be left
    }
  std::string line = "error: ";  // no name with a newline begins one with "error:"
  for (const char c : text) line += c == '\n' ? "\n  " : std::string(1, c);
  tell(line);
  return int(code);
}

}  // namespace pare::tool
