// Runs checks on every instruction set that the machine has.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/cpu/isa.h"

namespace pare::testing {

// The machine's own is in use again at the end of the scope.
struct IsaScope {
  IsaScope() = default;
  explicit IsaScope(Isa isa) { set_isa(isa); }
  ~IsaScope() { set_isa(before); }
  Isa before = current_isa();
};

// All that run here; with `floats` one of each that have the same float kernels.
inline std::vector<Isa> isas_here(bool floats = false) {
  std::vector<Isa> all;
  for (const IsaState& s : isa_states())
    if (s.runs && !(floats && float_isa(s.isa) != s.isa)) all.push_back(s.isa);
  return all;
}

// Calls f() under each instruction set with floats of its own.
template <class F>
void on_every_isa(F f) {
  const IsaScope scope;
  for (const Isa isa : isas_here(true)) {
    set_isa(isa);
    const std::string name = to_string(isa);
    CAPTURE(name);
    f();
  }
}

}  // namespace pare::testing
