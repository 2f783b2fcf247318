#include "optim/interrupt.h"

#include <cstdlib>

#include "core/error.h"

namespace pare {
namespace {

volatile std::sig_atomic_t requested = 0;
void (*volatile handler_before)(int) = SIG_DFL;  // of SIGINT

void on_signal(int signal) {
  // Asked twice. A terminal that closes sends more than one SIGHUP by itself.
  if (requested && signal != SIGHUP) {
    void (*const before)(int) = handler_before;
    if (before != SIG_DFL && before != SIG_IGN) before(signal);  // which may have words to say
    std::_Exit(int(ErrorCode::interrupted));
  }
  requested = 1;
}

}  // namespace

bool interrupted() { return requested != 0; }

InterruptScope::InterruptScope() {
  requested = 0;
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, &old_int_);
  if (old_int_.sa_handler != on_signal) handler_before = old_int_.sa_handler;
  ::sigaction(SIGTERM, &action, &old_term_);
  ::sigaction(SIGHUP, nullptr, &old_hup_);
  if (old_hup_.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);
}

InterruptScope::~InterruptScope() {
  requested = 0;
  ::sigaction(SIGINT, &old_int_, nullptr);
  ::sigaction(SIGTERM, &old_term_, nullptr);
  ::sigaction(SIGHUP, &old_hup_, nullptr);
}

}  // namespace pare
