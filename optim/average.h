// Averaging of weights: an exponential average a of the parameters w and of the running statistics
// follows the training, and is what is evaluated and kept (Polyak and Juditsky 1992; Tarvainen and
// Valpola 2017):
//
//   a = d a + (1 - d) w after step t = 0, 1, ...,   d = min(decay, (1 + t) / (10 + t))
//
// The averages are slots of the parameters, so that masks, clones and checkpoints reach them.
#pragma once

#include <vector>

#include "optim/hook.h"

namespace pare {

class WeightAverage : public TrainHook {
 public:
  // Throws Error{usage} unless 0 < decay < 1.
  explicit WeightAverage(double decay);
  bool recordable() const override { return true; }
  // Throws Error{bad_input} where a resumed network has other buffers than the checkpoint's
  // averages.
  void start(const TrainMoment& now) override;
  void after_update(const TrainMoment& now) override;
  void before_evaluation(Graph& graph) override { exchange(graph); }
  void after_evaluation(Graph& graph) override { exchange(graph); }
  void save(ContainerWriter& writer) const override;
  void load(const Container& file) override;

 private:
  // Averages become the network's values, and the other way round.
  void exchange(Graph& graph);
  double decay_;
  std::vector<Tensor> buffers_;  // averages, in the order of the graph's buffers
};

}  // namespace pare
