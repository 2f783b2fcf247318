// What a weight is worth: one class per pruning criterion. A new one is a class with scores() and,
// where it looks at data, prepare(); see docs/pruning.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autograd/graph.h"
#include "datasets/loader.h"

namespace pare {

// A weight that pruning may thin: the second input of a layer that makes new channels.
struct PrunableWeight {
  std::string name;  // of the parameter
  std::string node;  // the (first) layer that uses it
  Param param;
};
// In the order of the layers; tied weights once. Weights of at least two axes and one element.
std::vector<PrunableWeight> prunable_weights(const Graph& graph);
// Names of parameters of two or more axes, not empty, that are none of these: ops that pruning does
// not know use them, and they stay dense.
std::vector<std::string> weights_left_dense(const Graph& graph);
// Throws Error{bad_input} where there is no weight to prune, saying what keeps those that there are
// dense. `what` begins the sentence.
void check_prunable(const Graph& graph, const char* what);

class Criterion {
 public:
  virtual ~Criterion() = default;
  virtual std::string name() const = 0;
  // Whether scores() needs prepare() first.
  virtual bool needs_data() const { return false; }
  // In how many rounds an untrained network is best pruned.
  virtual int rounds() const { return 1; }
  // Whether weights compare within their row of the matrix only, as published: what `pare prune`
  // and sensitivity scans rank by, unless told.
  virtual bool by_row() const { return false; }
  // Looks at labelled batches; changes neither parameters nor buffers.
  virtual void prepare(Graph&, const std::vector<Batch>&) {}
  // Importance of every element: f32, shape of the weight, larger is kept. Must be finite; what a
  // mask drops already is not looked at.
  virtual Tensor scores(const PrunableWeight& weight) const = 0;
};

// |w| (Han et al. 2015); ranks by L1 where elements are judged together.
class Magnitude : public Criterion {
 public:
  std::string name() const override { return "magnitude"; }
  Tensor scores(const PrunableWeight& weight) const override;
};

// w^2: as magnitude for single weights, the L2 norm where elements are judged together.
class SquaredMagnitude : public Criterion {
 public:
  std::string name() const override { return "magnitude-l2"; }
  Tensor scores(const PrunableWeight& weight) const override;
};

// Uniform noise, the control that any other criterion must beat.
class RandomScores : public Criterion {
 public:
  explicit RandomScores(uint64_t seed = 1) : seed_(seed) {}
  std::string name() const override { return "random"; }
  Tensor scores(const PrunableWeight& weight) const override;

 private:
  uint64_t seed_;
};

// The criterion known by `name`; an unknown one is Error{usage} with close names.
std::unique_ptr<Criterion> make_criterion(const std::string& name, uint64_t seed = 1);
// Their names: magnitude, magnitude-l2, taylor, snip, fisher, wanda, grasp, synflow,
// random.
std::vector<std::string_view> criterion_names();

// f(w, i) for every element of a weight: what most criteria are.
template <class F>
Tensor score_elements(const PrunableWeight& weight, F&& f) {
  const Tensor w = weight.param.masked_value().to(Device{}).plain().to(DType::f32);
  const Tensor scores = Tensor::empty(w.shape());
  for (int64_t i = 0; i < w.elements(); ++i)
    scores.data<float>()[i] = float(f(double(w.data<float>()[i]), i));
  return scores;
}

}  // namespace pare
