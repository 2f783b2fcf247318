// Stochastic gradient descent with momentum, Nesterov's variant and weight decay.
//
//   g = grad + decay w;  v = momentum v + g;  w -= rate (nesterov ? g + momentum v : v)
//
// as PyTorch defines it. Where a parameter has a frozen mask, gradient, momentum and value of
// masked elements are exactly zero after the step.
#pragma once

#include <vector>

#include "autograd/param.h"

namespace pare {

struct SgdOptions {
  double rate = 0.1;
  double momentum = 0.9;
  double weight_decay = 0;  // not on parameters with decay == false
  bool nesterov = false;
};

class Sgd {
 public:
  explicit Sgd(std::vector<Param> params, const SgdOptions& options = {});
  // One update from the gradients at hand; parameters without one stay. Clears the gradients.
  // Throws Error{diverged} before anything is changed when a gradient is not finite.
  void step();
  void set_rate(double rate) { options_.rate = rate; }
  double rate() const { return options_.rate; }

 private:
  std::vector<Param> params_;
  SgdOptions options_;
};

}  // namespace pare
