// A model's history: a JSON list in its file of what was done to it.
#pragma once

#include <optional>

#include "tools/command.h"

namespace pare::tool {

void add_history(Graph& graph, const Json& entry);
// Epochs of all trainings it went through, as far as it says.
int64_t trained_epochs(const Graph& graph);
// Whether its history tells all and of no training. Files without one may be trained.
bool known_untrained(const Graph& graph);
// The seed its weights were drawn from, where it says.
std::optional<uint64_t> initial_seed(const Graph& graph);

}  // namespace pare::tool
