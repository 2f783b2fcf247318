// Criteria for networks that have not been trained yet (SNIP stands in data_criteria.h).
#pragma once

#include <map>

#include "compress/prune/criterion.h"

namespace pare {

// w H g: what removing w does to the norm of the gradient g, H the Hessian; weights whose removal
// would lower it most are kept (Wang, Zhang and Grosse 2020). Logits are divided by T = 200 as in
// the paper. H g is the slope of the gradient along itself, by a central difference. Of a masked
// network g and H are those of the connections that are left.
class Grasp : public Criterion {
 public:
  std::string name() const override { return "grasp"; }
  bool needs_data() const override { return true; }
  void prepare(Graph& graph, const std::vector<Batch>& batches) override;
  Tensor scores(const PrunableWeight& weight) const override;

 private:
  std::map<std::string, std::vector<double>> curvature_;  // H g, by the weight's name
};

// w dR/dw with R the sum of the outputs of a network whose parameters are replaced by their sizes,
// for an input of ones: the flow through w. Looks at no data (Tanaka et al. 2020). Batch norms stay
// in evaluation mode with their running statistics, the mean subtracted, so layers' flows are equal
// only where there are none. Meant to be
// applied in many rounds, so that no layer is cut through: see prune_in_rounds.
class SynFlow : public Criterion {
 public:
  std::string name() const override { return "synflow"; }
  bool needs_data() const override { return true; }
  int rounds() const override { return 100; }
  void prepare(Graph& graph, const std::vector<Batch>& batches) override;
  Tensor scores(const PrunableWeight& weight) const override;

 private:
  std::map<std::string, std::vector<double>> flow_;  // dR/d|w|, by the weight's name
};

}  // namespace pare
