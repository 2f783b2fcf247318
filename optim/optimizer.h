// Optimizers: per-element rules over value, gradient and named slots of each parameter.
//
// The state lives on the parameters, slots and counts of steps, so that saving, cloning and masking
// a parameter takes it along. Where a parameter has a frozen mask, value, gradient and slots of
// masked elements are exactly zero after every step. Weight decay skips parameters that ask for
// none. A step with a gradient that is not finite changes nothing.
//
// On a device a step is queued and nothing waits: one kernel looks at all gradients and writes a
// verdict, which the kernels of the update read; whoever wants to know asks for it later, together
// with the loss.
#pragma once

#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/param.h"
#include "core/backend.h"
#include "core/tensor_arg.h"

namespace pare {

using NamedParams = std::vector<std::pair<std::string, Param>>;

class Optimizer {
 public:
  explicit Optimizer(NamedParams params, double rate);
  virtual ~Optimizer() = default;
  // One update from the gradients at hand; parameters without one stay. Clears the gradients.
  // Throws Error{diverged} naming the parameter whose gradient is not finite.
  void step();
  // step() without the wait for a device: then `verdict` has to be read and settled. With a `loss`
  // (one element), nothing is changed either where that is above `most_loss` or not finite.
  void queue_step(const Tensor& loss = {},
                  double most_loss = std::numeric_limits<double>::infinity());
  // What came of the queued steps, f64 [2]: the factor of the gradients (1 where they are not
  // clipped), and a code for settle(). Once a step was refused so are those queued after it, until
  // it is settled.
  const Tensor& verdict() const { return verdict_; }
  // Takes note of the last step's code, verdict()[1]. True: it was done. False: refused for its
  // loss. Throws Error{diverged} naming the parameter whose gradient is not finite. Counts of steps
  // of a refused one are taken back.
  bool settle(double code);
  void set_rate(double rate) { rate_ = rate; }
  double rate() const { return rate_; }
  // Scales all gradients by one factor so that their common L2 norm is at most `norm`; 0: never.
  void set_clip(double norm);

 protected:
  // Updates parameters that agree in their count of steps, which has this one already, and in
  // whether they decay.
  virtual void update(std::span<const Param> group) = 0;
  // The step kernels of a rule (core/cpu/optimizers.cpp): for all, and for one parameter whose
  // gradient holds kept elements alone.
  struct UpdateKernels {
    Kernel all, kept;
  };
  // Runs a rule over the group's values, gradients and slots.
  void run_update(const UpdateKernels& kernels, std::span<const Param> group,
                  std::initializer_list<const char*> slots, const Attrs& attrs);
  // For constructors: gradients and slots made now never take memory that the first step has just
  // freed and the second wants again.
  void make_state(std::initializer_list<const char*> slots);

 private:
  void run(const Kernel& kernel, const Attrs& attrs);
  NamedParams params_;
  double rate_, clip_ = 0;
  Tensor verdict_;
  std::vector<size_t> stepped_, todo_;  // places in params_; kept, so that a step allocates nothing
  std::vector<Param> group_;
  std::vector<TensorArg> inputs_, outputs_;
};

struct SgdOptions {
  double rate = 0.1;
  double momentum = 0.9;
  double weight_decay = 0;
  bool nesterov = false;
};
// g = grad + decay w;  v = momentum v + g;  w -= rate (nesterov ? g + momentum v : v)
// (as PyTorch defines it). Slot: momentum, where it is not 0.
class Sgd : public Optimizer {
 public:
  explicit Sgd(NamedParams params, const SgdOptions& options = {});

 protected:
  void update(std::span<const Param> group) override;

 private:
  SgdOptions options_;
};

struct AdamOptions {
  double rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;  // AdamW: decay acts on the weight itself, not through the moments
};
// Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019):
//   g = grad (+ decay w, unless decoupled: w -= rate decay w)
//   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
//   w -= rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
// t counts the steps of each parameter. Slots: m, v.
class Adam : public Optimizer {
 public:
  explicit Adam(NamedParams params, const AdamOptions& options = {});

 protected:
  void update(std::span<const Param> group) override;

 private:
  AdamOptions options_;
};

struct OptimizerOptions {
  std::string name = "sgd";  // sgd, nesterov, adam, adamw
  double rate = 0.1, momentum = 0.9, weight_decay = 0;
  double clip = 0;
};
// Throws Error{usage} for an unknown name or values out of range.
std::unique_ptr<Optimizer> make_optimizer(NamedParams params, const OptimizerOptions& options);

}  // namespace pare
