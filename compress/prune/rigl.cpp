#include "compress/prune/rigl.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pare {
namespace {

std::vector<PrunableWeight> masked_weights(const Graph& graph) {
  std::vector<PrunableWeight> weights = prunable_weights(graph);
  std::erase_if(
      weights, [](const PrunableWeight& w) { return w.param.state().mask_kind == MaskKind::none; });
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

// The mask after `share` of the kept blocks has been dropped and as many have been grown.
Tensor moved_mask(const Param& param, const BlockGrid& grid, double share) {
  const ParamState& s = param.state();
  const Tensor mask = s.mask.to(Device{}).plain();
  std::vector<uint8_t> keep(size_t(grid.blocks()));
  grid.for_each([&](int64_t i, int64_t b) { keep[size_t(b)] |= mask.data<uint8_t>()[i]; });
  std::vector<Block> active;
  const std::vector<double> weights = mean_sizes(s.value, grid);
  for (int64_t b = 0; b < grid.blocks(); ++b)
    if (keep[size_t(b)]) active.push_back({weights[size_t(b)], b});
  const auto n = std::ptrdiff_t(share * double(active.size()));
  std::nth_element(active.begin(), active.begin() + n, active.end(), weaker);
  for (auto b = active.begin(); b != active.begin() + n; ++b) keep[size_t(b->index)] = 0;

  std::vector<Block> idle;
  const std::vector<double> slopes = mean_sizes(s.grad, grid);
  for (int64_t b = 0; b < grid.blocks(); ++b)
    if (!keep[size_t(b)]) idle.push_back({slopes[size_t(b)], b});
  std::nth_element(idle.begin(), idle.end() - n, idle.end(), weaker);
  for (auto b = idle.end() - n; b != idle.end(); ++b) keep[size_t(b->index)] = 1;

  std::vector<uint8_t> elements(size_t(mask.elements()));
  grid.for_each([&](int64_t i, int64_t b) { elements[size_t(i)] = keep[size_t(b)]; });
  return Tensor::from(elements, mask.shape()).to(s.value.device());
}

}  // namespace

RigL::RigL(const RigLOptions& options) : options_(options), every_(options.every) {
  check(options.fraction > 0 && options.fraction <= 1 && options.every >= 1 && options.end > 0 &&
            options.end <= 1,
        "rigl: a fraction of {} every {} steps until {} of the run; expected fractions in (0, 1] "
        "and at least one step",
        options.fraction, options.every, options.end);
  check(!options.structure.is_n_of_m(), "rigl moves connections within a layer; {} holds them",
        options.structure.name());
}

void RigL::start(const TrainMoment& now) {
  last_ = int64_t(options_.end * double(now.steps));
  check(!masked_weights(now.graph).empty(), "rigl: no weight has a mask; prune the network first");
}

// Until the gradients are there the masks are soft: the network computes the same, and the
// gradient is that of all connections.
void RigL::before_step(const TrainMoment& now) {
  if (!updates(now.step)) return;
  for (PrunableWeight& w : masked_weights(now.graph))
    w.param.set_mask(w.param.state().mask, MaskKind::soft);
}

void RigL::before_update(const TrainMoment& now) {
  if (!updates(now.step)) return;
  const double share =
      options_.fraction / 2 * (1 + std::cos(std::numbers::pi * double(now.step) / double(last_)));
  for (PrunableWeight& w : masked_weights(now.graph)) {
    const BlockGrid grid(w.param.value().shape(), options_.structure);
    w.param.set_mask(w.param.has_grad() ? moved_mask(w.param, grid, share) : w.param.state().mask);
  }
  for (Param& p : parameters(now.graph)) p.clear_grad();
}

}  // namespace pare
