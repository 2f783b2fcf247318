// Before and after: what prune and quantize measure alike, and the table they print.
#pragma once

#include "tools/command.h"
#include "tools/latency.h"

namespace pare::tool {

struct BeforeAfter {
  std::string what;
  std::string before, after;
};
std::string before_after_table(const std::vector<BeforeAfter>& rows);

}  // namespace pare::tool
