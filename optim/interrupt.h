// Ctrl-C as a request: while an InterruptScope lives, SIGINT, SIGTERM and SIGHUP (a terminal that
// closes) set a flag that long work looks at between its steps. A second SIGINT or SIGTERM ends the
// process at once. A SIGHUP that is ignored when the scope begins (nohup) stays so.
#pragma once

#include <csignal>

namespace pare {

bool interrupted();

class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();  // what was asked for meanwhile is forgotten
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  struct sigaction old_int_{}, old_term_{}, old_hup_{};
};

}  // namespace pare
