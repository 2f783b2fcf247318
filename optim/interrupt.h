// Ctrl-C as a request: while an InterruptScope lives, SIGINT and SIGTERM set a flag that long work
// looks at between its steps. A second signal ends the process at once.
#pragma once

#include <csignal>

namespace pare {

bool interrupted();

class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  struct sigaction old_int_{}, old_term_{};
};

}  // namespace pare
