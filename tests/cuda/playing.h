// A breakdown that the emulated device plays while one of these lives ($PARE_EMULATION_FAULT).
#pragma once

#include <cstdlib>
#include <string>

namespace pare::testing {

struct Playing {
  explicit Playing(const std::string& fault) { ::setenv("PARE_EMULATION_FAULT", fault.c_str(), 1); }
  ~Playing() { ::unsetenv("PARE_EMULATION_FAULT"); }
};

}  // namespace pare::testing
