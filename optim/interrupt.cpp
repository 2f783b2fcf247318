#include "optim/interrupt.h"

#include <cstdlib>

#include "core/error.h"

namespace pare {
namespace {

volatile std::sig_atomic_t requested = 0;

void on_signal(int) {
  if (requested) std::_Exit(int(ErrorCode::interrupted));  // asked twice
  requested = 1;
}

}  // namespace

bool interrupted() { return requested != 0; }

InterruptScope::InterruptScope() {
  requested = 0;
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, &old_int_);
  ::sigaction(SIGTERM, &action, &old_term_);
}

InterruptScope::~InterruptScope() {
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
}

}  // namespace pare
