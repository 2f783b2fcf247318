// RigL (Evci et al. 2020): training that is sparse from the first step to the last. From time to
// time the weakest connections of every layer are dropped and as many are grown where the gradient
// of the loss, taken as if nothing were masked, is largest.
//
// At step t, a multiple of `every` below `end`, with A the active blocks of a layer:
//
//   n = floor(fraction / 2 (1 + cos(pi t / end)) |A|)
//   drop the n blocks of A with the smallest mean |w|; of all others, the dropped ones among them,
//   grow the n with the largest mean |dL/dw|, from zero; one that was dropped in the same step goes
//   on from its value (as in the authors' code)
//
// Such a step changes masks instead of weights. Only there does the gradient cost what a dense
// layer's does.
#pragma once

#include "compress/prune/prune.h"
#include "optim/hook.h"

namespace pare {

struct RigLOptions {
  double fraction = 0.3;  // of the active connections, replaced at first; falls along a cosine
  int64_t every = 100;    // steps, at least 2: those in between move the weights
  double end = 0.75;      // share of the run after which the masks stay
  PruneStructure structure = {};
};

// For networks whose weights have masks already, by prune(graph, RandomScores(), ...) say: how many
// connections a layer has stays as it is. Masks are frozen after the first step that moves them.
class RigL : public TrainHook {
 public:
  // Throws Error{usage} for options out of range and for N:M.
  explicit RigL(const RigLOptions& options = {});
  // Throws Error{usage} where no weight has a mask, or one cuts through blocks of the structure.
  void start(const TrainMoment& now) override;
  void before_step(const TrainMoment& now) override;
  // Throws Error{diverged} naming the weight whose gradient is not finite; no mask moves then.
  void before_update(const TrainMoment& now) override;
  bool finished(int64_t steps_done) const override { return steps_done >= last_; }

 private:
  bool updates(int64_t step) const { return step > 0 && step < last_ && step % every_ == 0; }
  RigLOptions options_;
  int64_t every_ = 1, last_ = 0;
};

}  // namespace pare
