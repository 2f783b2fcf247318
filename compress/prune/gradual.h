// Gradual pruning (Zhu and Gupta 2017): while the network trains, more and more of its weights are
// masked along a ramp. Masks only grow; the weights that stay have time to take over.
#pragma once

#include <vector>

#include "compress/prune/prune.h"
#include "compress/prune/ramp.h"
#include "optim/hook.h"

namespace pare {

class GradualPruning : public TrainHook {
 public:
  // `how.sparsity` is ignored: the ramp gives it. `sample` is what a criterion that looks at data
  // sees at every update. The criterion must outlive the hook. Throws Error{usage} for N:M, which
  // has one sparsity only.
  GradualPruning(Criterion& criterion, const PruneOptions& how, const SparsityRamp& ramp,
                 std::vector<Batch> sample = {});

  // Throws Error{usage} for a ramp out of range or that ends behind the run.
  void start(const TrainMoment& now) override;
  // Prunes where the ramp has a step; throws as prune() and Criterion::prepare() do.
  void before_step(const TrainMoment& now) override;
  // No network is kept as the best before it has its last sparsity.
  bool finished(int64_t steps_done) const override { return steps_done > ramp_.end; }

 private:
  Criterion& criterion_;
  PruneOptions how_;
  SparsityRamp ramp_;
  std::vector<Batch> sample_;
};

}  // namespace pare
