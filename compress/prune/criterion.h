// What a weight is worth: one class per pruning criterion. A new one is a class with scores() and,
// where it looks at data, prepare(); see docs/pruning.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/graph.h"

namespace pare {

// A weight that pruning may thin: the second input of a layer that makes new channels.
struct PrunableWeight {
  std::string name;  // of the parameter
  std::string node;  // the (first) layer that uses it
  Param param;
};
// In the order of the layers; tied weights once.
std::vector<PrunableWeight> prunable_weights(const Graph& graph);

class Criterion {
 public:
  virtual ~Criterion() = default;
  virtual std::string name() const = 0;
  // Importance of every element: f32, shape of the weight, larger is kept. Must be finite.
  virtual Tensor scores(const PrunableWeight& weight) const = 0;
};

// |w| (Han et al. 2015).
class Magnitude : public Criterion {
 public:
  std::string name() const override { return "magnitude"; }
  Tensor scores(const PrunableWeight& weight) const override;
};

// The criterion known by `name`; an unknown one is Error{usage} with close names.
std::unique_ptr<Criterion> make_criterion(const std::string& name);

}  // namespace pare
