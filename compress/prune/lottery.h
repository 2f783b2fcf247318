// Lottery tickets (Frankle and Carbin 2019): train, prune, put the weights that stay back to what
// they were at the start (or, for larger networks, after k steps: Frankle et al. 2020), train
// again. The control is the same mask on fresh weights: if the ticket does not beat it, the mask
// alone is all there was.
#pragma once

#include <optional>
#include <string>

#include "optim/hook.h"

namespace pare {

// Keeps a copy of the network as it is before step k.
class RememberStep : public TrainHook {
 public:
  explicit RememberStep(int64_t k) : step_(k) {}
  // A copy that is known already.
  explicit RememberStep(Graph known) : step_(-1), graph_(std::move(known)) {}
  // Throws Error{usage} where the run has no step k.
  void start(const TrainMoment& now) override;
  void before_step(const TrainMoment& now) override;
  void save(ContainerWriter& writer) const override;
  void load(const Container& file) override;
  // Throws Error{usage} where the run has not come so far.
  Graph& graph();

 private:
  int64_t step_;
  std::optional<Graph> graph_;
};

// The network as it was before its first training, made again from what its history says
// (optim/history.h): the seed, checked against the hash of the weights that it began with. Throws
// Error{bad_input} where that cannot be: no history, weights of another seed, a network that is not
// in layers/zoo.h or was made smaller since. `name` is used in messages.
Graph initial_network(const Graph& graph, const std::string& name);

// Gives `graph` the values and buffers of `to`, a network of the same parameters, and its history
// of trainings. Masks of `graph` stay; what they drop is zero. The optimizer's state is forgotten.
// Throws Error{usage} where the networks have not as many parameters and buffers, or one of them
// another shape, with its name; then nothing has changed.
void rewind(Graph& graph, Graph& to);

// Gives `graph` fresh weights as a new network has them: parameters of two axes and more from
// N(0, gain / fan_in), biases of layers 0, scales of norms 1 and shifts 0, running means 0 and
// variances 1. Other vectors (of a user's op, whose start nothing tells) stay. Masks stay. The
// optimizer's state and the trainings in its history are forgotten.
void reinitialize(Graph& graph, uint64_t seed, double gain = 1);

}  // namespace pare
