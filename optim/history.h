// The history of a network: a list among its facts (metadata "history") of what was done to it, in
// order, that every training and every compression adds to. It tells weights that were learned from
// those that were drawn, which lottery tickets and pruning before training depend on.
#pragma once

#include <optional>
#include <string>

#include "autograd/graph.h"

namespace pare {

// Adds an entry, the text of a JSON object. Throws Error{bad_input} where that or the history so
// far is none.
void add_history(Graph& graph, const std::string& entry);

// The weights are those that initialize() draws from `seed` for a new network of this kind: what
// was trained before no longer counts, what was pruned does.
void record_initialization(Graph& graph, uint64_t seed);
// A training of so many epochs begins; Trainer::run records its own.
void record_training(Graph& graph, int64_t epochs, uint64_t seed);
// The training that was recorded last has changed no weight yet.
void forget_last_training(Graph& graph);
// `graph` has been given the weights of `to`: its trainings are those of `to`.
void rewind_history(Graph& graph, const Graph& to);

enum class Origin : uint8_t {
  unknown,  // no history says
  initial,  // nothing has trained the weights
  trained,
};
Origin origin_of(const Graph& graph);

// Epochs of all trainings it went through, as far as it says.
int64_t trained_epochs(const Graph& graph);

// Where its initial weights came from, as far as it says.
struct InitialWeights {
  uint64_t seed = 0;
  std::string hash = {};  // weights_hash() of them; "": not known
};
std::optional<InitialWeights> initial_weights_of(const Graph& graph);
// Of all parameters, as their masks leave them, in the order of the graph.
std::string weights_hash(Graph& graph);

}  // namespace pare
