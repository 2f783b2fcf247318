#include "tools/compress_report.h"

namespace pare::tool {

std::string before_after_table(const std::vector<BeforeAfter>& rows) {
  std::string text = fmt::format("{:<24} {:>14} {:>14}", "", "before", "after");
  for (const BeforeAfter& r : rows)
    text += fmt::format("\n{:<24} {:>14} {:>14}", r.what, r.before, r.after);
  return text;
}

}  // namespace pare::tool
