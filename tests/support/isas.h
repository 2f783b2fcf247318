// Runs checks on every instruction set that the machine has.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "core/cpu/isa.h"

namespace pare::testing {

// Calls f() under each instruction set present; afterwards the machine's own is in use.
template <class F>
void on_every_isa(F f) {
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512}) {
    if (isa > detected_isa()) continue;
    set_isa(isa);
    const std::string name = to_string(isa);
    CAPTURE(name);
    f();
  }
  set_isa(detected_isa());
}

}  // namespace pare::testing
