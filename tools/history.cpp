#include "tools/history.h"

#include "core/json.h"

namespace pare::tool {
namespace {

Json history_of(const Graph& graph) {
  const std::string stored = graph.get_metadata("history");
  Json history = stored.empty() ? Json::array() : parse_json(stored, "the model's history");
  check(history.is_array(), ErrorCode::bad_input, "the model's history is no list");
  return history;
}

}  // namespace

void add_history(Graph& graph, const Json& entry) {
  Json history = history_of(graph);
  history.push_back(entry);
  graph.set_metadata("history", to_text(history));
}

int64_t trained_epochs(const Graph& graph) {
  int64_t sum = 0;
  for (const Json& entry : history_of(graph))
    if (entry.is_object() && entry.contains("epochs") && entry["epochs"].is_number_integer())
      sum += entry["epochs"].get<int64_t>();
  return sum;
}

bool known_untrained(const Graph& graph) {
  return !history_of(graph).empty() && trained_epochs(graph) == 0;
}

std::optional<uint64_t> initial_seed(const Graph& graph) {
  for (const Json& entry : history_of(graph))
    if (entry.is_object() && entry.contains("seed") && entry["seed"].is_number_unsigned())
      return entry["seed"].get<uint64_t>();
  return std::nullopt;
}

}  // namespace pare::tool
