#include "compress/prune/rigl.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pare {
namespace {

std::vector<PrunableWeight> masked_weights(const Graph& graph) {
  std::vector<PrunableWeight> weights = prunable_weights(graph);
  std::erase_if(weights, [](const PrunableWeight& w) { return !w.param.state().mask.defined(); });
  return weights;
}

struct Block {
  double worth;
  int64_t index;
};
// Small ones first; among equal ones the later.
bool weaker(const Block& a, const Block& b) {
  return a.worth != b.worth ? a.worth < b.worth : a.index > b.index;
}

// Mean |x| of every block.
std::vector<double> mean_sizes(const Tensor& x, const BlockGrid& grid) {
  const Tensor values = x.to(Device{}).plain().to(DType::f32);
  std::vector<double> sums(size_t(grid.blocks()));
  grid.for_each(
      [&](int64_t i, int64_t b) { sums[size_t(b)] += std::fabs(double(values.data<float>()[i])); });
  for (int64_t b = 0; b < grid.blocks(); ++b) sums[size_t(b)] /= double(grid.size(b));
  return sums;
}

// Error{diverged} where the gradient is not finite: NaNs have no order, and the optimizer, which
// would tell, gets no gradient in such a step.
void check_finite(const std::vector<double>& slopes, const std::string& weight) {
  if (!std::all_of(slopes.begin(), slopes.end(), [](double s) { return std::isfinite(s); }))
    fail(ErrorCode::diverged,
         "training diverged: the gradient of '{}' is not finite; no weight and no mask was changed "
         "in this step. Lower the learning rate or clip the gradients",
         weight);
}

// Of every block, whether the mask keeps any of it.
std::vector<uint8_t> kept_blocks(const Tensor& mask, const BlockGrid& grid) {
  std::vector<uint8_t> keep(size_t(grid.blocks()));
  grid.for_each([&](int64_t i, int64_t b) { keep[size_t(b)] |= mask.data<uint8_t>()[i]; });
  return keep;
}

// The mask that keeps these blocks.
Tensor mask_of(const std::vector<uint8_t>& keep, const BlockGrid& grid, const Shape& shape) {
  std::vector<uint8_t> elements(size_t(shape.elements()));
  grid.for_each([&](int64_t i, int64_t b) { elements[size_t(i)] = keep[size_t(b)]; });
  return Tensor::from(elements, shape);
}

// The mask after `share` of the kept blocks has been dropped and as many have been grown.
Tensor moved_mask(const PrunableWeight& weight, const BlockGrid& grid, double share) {
  const ParamState& s = weight.param.state();
  const std::vector<double> slopes = mean_sizes(s.grad, grid);
  check_finite(slopes, weight.name);
  std::vector<uint8_t> keep = kept_blocks(s.mask.to(Device{}).plain(), grid);
  std::vector<Block> active;
  const std::vector<double> weights = mean_sizes(s.value, grid);
  for (int64_t b = 0; b < grid.blocks(); ++b)
    if (keep[size_t(b)]) active.push_back({weights[size_t(b)], b});
  const auto n = std::ptrdiff_t(share * double(active.size()));
  std::nth_element(active.begin(), active.begin() + n, active.end(), weaker);
  for (auto b = active.begin(); b != active.begin() + n; ++b) keep[size_t(b->index)] = 0;

  std::vector<Block> idle;
  for (int64_t b = 0; b < grid.blocks(); ++b)
    if (!keep[size_t(b)]) idle.push_back({slopes[size_t(b)], b});
  std::nth_element(idle.begin(), idle.end() - n, idle.end(), weaker);
  for (auto b = idle.end() - n; b != idle.end(); ++b) keep[size_t(b->index)] = 1;
  return mask_of(keep, grid, s.mask.shape()).to(s.value.device());
}

}  // namespace

RigL::RigL(const RigLOptions& options) : options_(options), every_(options.every) {
  check(options.fraction > 0 && options.fraction <= 1 && options.every >= 2 && options.end > 0 &&
            options.end <= 1,
        "rigl: a fraction of {} every {} steps until {} of the run; expected fractions in (0, 1], "
        "and at least 2 steps: one that moves masks moves no weight",
        options.fraction, options.every, options.end);
  check(!options.structure.is_n_of_m(), "rigl moves connections within a layer; {} holds them",
        options.structure.name());
}

void RigL::start(const TrainMoment& now) {
  last_ = int64_t(options_.end * double(now.steps));
  const auto weights = masked_weights(now.graph);
  check(!weights.empty(), "rigl: no weight has a mask; prune the network first");
  for (const PrunableWeight& w : weights) {
    const Tensor mask = w.param.state().mask.to(Device{}).plain();
    const BlockGrid grid(mask.shape(), options_.structure);
    check(mask_of(kept_blocks(mask, grid), grid, mask.shape()).to_vector<uint8_t>() ==
              mask.to_vector<uint8_t>(),
          "rigl: the mask of '{}' cuts through {} blocks, which cannot move whole then; prune a "
          "network without a mask, or move single weights",
          w.name, options_.structure.name());
  }
}

// Until the gradients are there the masks are lifted: what they drop is zero, so the network
// computes the same, and the gradient is that of all connections.
void RigL::before_step(const TrainMoment& now) {
  if (!updates(now.step)) return;
  for (PrunableWeight& w : masked_weights(now.graph)) {
    w.param.uphold_mask();
    w.param.state().mask_kind = MaskKind::none;
  }
}

void RigL::before_update(const TrainMoment& now) {
  if (!updates(now.step)) return;
  const double share =
      options_.fraction / 2 * (1 + std::cos(std::numbers::pi * double(now.step) / double(last_)));
  std::vector<PrunableWeight> weights = masked_weights(now.graph);
  for (PrunableWeight& w : weights) w.param.state().mask_kind = MaskKind::frozen;
  std::vector<Tensor> masks;
  for (const PrunableWeight& w : weights) {
    const BlockGrid grid(w.param.value().shape(), options_.structure);
    masks.push_back(w.param.has_grad() ? moved_mask(w, grid, share) : w.param.state().mask);
  }
  for (size_t i = 0; i < weights.size(); ++i) weights[i].param.set_mask(masks[i]);
  for (Param& p : parameters(now.graph)) p.clear_grad();
}

}  // namespace pare
