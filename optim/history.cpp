#include "optim/history.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "core/error.h"
#include "core/json.h"
#include "core/random.h"

namespace pare {
namespace {

constexpr const char* key = "history";

Json history_of(const Graph& graph) {
  const std::string stored = graph.get_metadata(key);
  Json history = stored.empty() ? Json::array() : parse_json(stored, "the model's history");
  check(history.is_array(), ErrorCode::bad_input, "the model's history is no list");
  return history;
}

void add(Graph& graph, Json entry) {
  Json history = history_of(graph);
  history.push_back(std::move(entry));
  graph.set_metadata(key, to_text(history));
}

bool did(const Json& entry, const char* what) {
  return entry.is_object() && entry.contains("did") && entry["did"] == what;
}
int64_t epochs_of(const Json& entry) {
  return entry.is_object() && entry.contains("epochs") && entry["epochs"].is_number_integer()
             ? entry["epochs"].get<int64_t>()
             : 0;
}
bool of_weights(const Json& entry) { return did(entry, "initialize") || did(entry, "train"); }

}  // namespace

void add_history(Graph& graph, const std::string& entry) {
  Json parsed = parse_json(entry, "an entry of the history");
  check(parsed.is_object(), ErrorCode::bad_input, "an entry of the history is no JSON object");
  add(graph, std::move(parsed));
}

void record_initialization(Graph& graph, uint64_t seed) {
  Json history = {{{"did", "initialize"}, {"seed", seed}}};
  for (const Json& entry : history_of(graph))
    if (!of_weights(entry)) history.push_back(entry);
  graph.set_metadata(key, to_text(history));
}

void record_training(Graph& graph, int64_t epochs, uint64_t seed) {
  Json entry = {{"did", "train"}, {"epochs", epochs}, {"seed", seed}};
  const auto params = parameters(graph);
  const bool masked = std::any_of(params.begin(), params.end(), [](const Param& p) {
    return p.inner().mask_kind != MaskKind::none;
  });
  // No new network could have the hash of weights under masks. `from` is there all the same: it
  // tells that the entry is one of a training.
  entry["from"] = masked ? std::string() : weights_hash(graph);
  add(graph, std::move(entry));
}

void forget_last_training(Graph& graph) {
  Json history = history_of(graph);
  for (size_t i = history.size(); i-- > 0;)
    if (did(history[i], "train")) {
      history.erase(i);
      break;
    }
  graph.set_metadata(key, history.empty() ? std::string() : to_text(history));
}

void rewind_history(Graph& graph, const Graph& to) {
  Json history = Json::array();
  for (const Json& entry : history_of(to))
    if (of_weights(entry)) history.push_back(entry);
  for (const Json& entry : history_of(graph))
    if (!of_weights(entry)) history.push_back(entry);
  graph.set_metadata(key, history.empty() ? std::string() : to_text(history));
}

Origin origin_of(const Graph& graph) {
  const Json history = history_of(graph);
  Origin origin = Origin::unknown;
  for (const Json& entry : history) {
    if (epochs_of(entry) > 0) return Origin::trained;
    // Before there were entries of initialization, a new network was one of no epochs.
    if (did(entry, "initialize") || (did(entry, "train") && !entry.contains("from")))
      origin = Origin::initial;
  }
  return origin;
}

int64_t trained_epochs(const Graph& graph) {
  int64_t sum = 0;
  for (const Json& entry : history_of(graph)) sum += std::max<int64_t>(0, epochs_of(entry));
  return sum;
}

std::optional<InitialWeights> initial_weights_of(const Graph& graph) {
  // The seed stands with what drew the weights, their hash with the first training of them.
  std::optional<InitialWeights> found;
  for (const Json& entry : history_of(graph)) {
    if (!entry.is_object() || !(found ? of_weights(entry) : entry.contains("seed"))) continue;
    if (!found) {
      if (!entry["seed"].is_number_unsigned()) continue;
      found = InitialWeights{entry["seed"].get<uint64_t>()};
    }
    if (entry.contains("from") && entry["from"].is_string())
      found->hash = entry["from"].get<std::string>();
    if (did(entry, "train")) break;
  }
  return found;
}

std::string weights_hash(Graph& graph) {
  uint64_t hash = 0;
  for (const auto& [name, p] : named_parameters(graph)) {
    const Tensor t = p.masked_value().to(Device{}).plain();
    hash = mix_keys(hash, uint64_t(t.elements()));
    const std::span bytes(t.data<const uint8_t>(), t.bytes());
    for (size_t i = 0; i < bytes.size(); i += sizeof hash) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, std::min(sizeof word, bytes.size() - i));
      hash = mix_keys(hash, word);
    }
  }
  std::string text(16, '0');
  for (int i = 0; i < 16; ++i) text[size_t(15 - i)] = "0123456789abcdef"[hash >> (4 * i) & 15];
  return text;
}

}  // namespace pare
