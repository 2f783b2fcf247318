#include "optim/progress.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "core/streams.h"
#include "core/text.h"

namespace pare {

using namespace std::chrono_literals;

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}
Progress::~Progress() { clear(); }

void Progress::clear() {
  if (std::exchange(shown_, false)) std::fputs("\r\033[K", stderr);
}

bool Progress::due() {
  const auto now = std::chrono::steady_clock::now();
  if (quiet_ || now - last_ < (terminal_ ? 100ms : 10s)) return false;
  last_ = now;
  return true;
}

void Progress::show(const std::string& text) {
  if (!terminal_) return line(text);
  clear();
  std::fputs(printable(text).c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

void Progress::line(const std::string& text) {
  if (quiet_) return;
  clear();
  tell(text);
}

std::string clock_time(double seconds) {
  const long s = seconds > 0 ? long(seconds + 0.5) : 0;
  char text[32];
  if (s >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  return text;
}

std::string rate_text(double a_second) {
  char text[32];
  std::snprintf(text, sizeof text, a_second < 100 ? "%.3g" : "%.0f", a_second);
  return text;
}

}  // namespace pare
