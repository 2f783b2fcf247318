// Criteria that look at data: gradients of the loss, or the size of activations. All run the
// network in evaluation mode, so that looking changes nothing.
#pragma once

#include <functional>
#include <map>

#include "compress/prune/criterion.h"

namespace pare {

// Calls look(batch) with the gradients of each batch's mean cross entropy on the parameters, in
// evaluation mode; none are left behind.
void for_each_gradient(Graph& graph, const std::vector<Batch>& batches,
                       const std::function<void(int64_t batch)>& look);

// Collects gradients of the cross entropy, batch by batch.
class GradientCriterion : public Criterion {
 public:
  bool needs_data() const override { return true; }
  void prepare(Graph& graph, const std::vector<Batch>& batches) override;

 protected:
  struct Sums {
    std::vector<double> plain, absolute, squared;  // of the gradient, over batches
    int64_t batches = 0;
  };
  // Throws Error{usage} where prepare has not seen the weight.
  const Sums& sums(const PrunableWeight& weight) const;
  // Gradients of single examples instead of batches.
  virtual bool by_example() const { return false; }

 private:
  std::map<std::string, Sums> sums_;
};

// |w| mean |dL/dw|: the loss's first-order change, averaged over batches (Molchanov et al. 2017).
class Taylor : public GradientCriterion {
 public:
  std::string name() const override { return "taylor"; }
  Tensor scores(const PrunableWeight& weight) const override;
};

// |w dL/dw| with the gradient over all batches together (Lee, Ajanthan and Torr 2019).
class Snip : public GradientCriterion {
 public:
  std::string name() const override { return "snip"; }
  Tensor scores(const PrunableWeight& weight) const override;
};

// w^2 F / 2 with F the empirical Fisher diagonal, mean (dL/dw)^2 over examples (Theis et al. 2018).
class Fisher : public GradientCriterion {
 public:
  std::string name() const override { return "fisher"; }
  Tensor scores(const PrunableWeight& weight) const override;

 protected:
  bool by_example() const override { return true; }
};

// |w| |x|_2 with x the input that w multiplies: a feature, or a channel; compared within a row,
// that is, an output (Sun et al. 2024). Of tied weights the input of the first layer counts.
class Wanda : public Criterion {
 public:
  std::string name() const override { return "wanda"; }
  bool needs_data() const override { return true; }
  bool by_row() const override { return true; }
  void prepare(Graph& graph, const std::vector<Batch>& batches) override;
  Tensor scores(const PrunableWeight& weight) const override;

 private:
  struct Norms {
    std::vector<double> squares;  // per input feature or channel
    int64_t groups = 1;
  };
  std::map<std::string, Norms> norms_;  // by the weight's name
};

}  // namespace pare
