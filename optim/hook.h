// Hooks: what happens beside the steps of a training run. Gradual pruning, regrowth, averaging and
// the like are hooks; the trainer calls them in the order in which they were added.
//
// A resumed run must have the bits of one that never stopped. What a hook keeps on parameters
// (masks, slots) and buffers the checkpoint carries anyway; what is a function of the step needs no
// state; the rest goes through save and load.
#pragma once

#include "autograd/graph.h"
#include "core/container.h"

namespace pare {

struct TrainMoment {
  Graph& graph;
  int64_t step = 0, steps = 0;  // number of the step, from 0, and how many there are
};

class TrainHook {
 public:
  virtual ~TrainHook() = default;
  // Before the first step of a run, and when a run is resumed. `now.step` tells which.
  virtual void start(const TrainMoment&) {}
  // Before the forward pass; parameters and masks may be changed.
  virtual void before_step(const TrainMoment&) {}
  // The parameters have their gradients; a parameter whose gradient is cleared is not updated.
  virtual void before_update(const TrainMoment&) {}
  virtual void after_update(const TrainMoment&) {}
  // Around what an epoch's end does with the network: evaluate it, keep it where it is the best.
  virtual void before_evaluation(Graph&) {}
  virtual void after_evaluation(Graph&) {}
  // Whether the network after so many steps is what the run is for. Until then no epoch is kept as
  // the best one.
  virtual bool finished(int64_t /*steps_done*/) const { return true; }
  // Whether every step runs the same ops on gradients that the hook leaves alone, so that a device
  // may replay a step it recorded. Values may change; tensors that are replaced are noticed.
  virtual bool recordable() const { return false; }
  // State of its own in the checkpoint; names should start with the hook's.
  virtual void save(ContainerWriter&) const {}
  virtual void load(const Container&) {}
};

}  // namespace pare
