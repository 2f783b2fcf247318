#include "compress/prune/gradual.h"

namespace pare {

GradualPruning::GradualPruning(Criterion& criterion, const PruneOptions& how,
                               const SparsityRamp& ramp, std::vector<Batch> sample)
    : criterion_(criterion), how_(how), ramp_(ramp), sample_(std::move(sample)) {
  check(!how.structure.is_n_of_m(),
        "gradual pruning raises the sparsity step by step; {} has one only", how.structure.name());
}

void GradualPruning::start(const TrainMoment& now) { ramp_.check_fits(now.steps); }

void GradualPruning::before_step(const TrainMoment& now) {
  if (!ramp_.updates(now.step)) return;
  how_.sparsity = ramp_.at(now.step);
  if (criterion_.needs_data()) criterion_.prepare(now.graph, sample_);
  prune(now.graph, criterion_, how_);
}

}  // namespace pare
