#include "tools/compress_report.h"

#include "core/json.h"

namespace pare::tool {

std::string before_after_table(const std::vector<BeforeAfter>& rows) {
  std::string text = fmt::format("{:<24} {:>14} {:>14}", "", "before", "after");
  for (const BeforeAfter& r : rows)
    text += fmt::format("\n{:<24} {:>14} {:>14}", r.what, r.before, r.after);
  return text;
}

void add_history(Graph& graph, const Json& entry) {
  const std::string stored = graph.get_metadata("history");
  Json history = stored.empty() ? Json::array() : parse_json(stored, "the model's history");
  check(history.is_array(), ErrorCode::bad_input, "the model's history is no list");
  history.push_back(entry);
  graph.set_metadata("history", to_text(history));
}

}  // namespace pare::tool
