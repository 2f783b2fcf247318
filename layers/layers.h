// The layers: modules with parameters, each a few lines over the public functions.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/module.h"
#include "autograd/ops.h"

namespace pare {

// y = act(x W^T + b); x is [batch, in].
class Dense : public Module {
 public:
  Dense(int64_t in, int64_t out, bool relu = false);
  Tensor forward(const Tensor& x, Mode mode) override;
  void visit(Visitor& visitor) override;
  Param weight, bias;  // [out, in], [out]

 private:
  bool relu_;
};

// y = act(conv(x, W) + b); x is [batch, in, h, w].
class Conv2d : public Module {
 public:
  Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& options = {});
  Tensor forward(const Tensor& x, Mode mode) override;
  void visit(Visitor& visitor) override;
  Param weight, bias;  // [out, in / groups, kernel, kernel], [out]

 private:
  Conv2dOptions options_;
};

class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(int kernel, int stride = 0) : kernel_(kernel), stride_(stride) {}
  Tensor forward(const Tensor& x, Mode) override { return max_pool2d(x, kernel_, stride_); }
  void visit(Visitor&) override {}

 private:
  int kernel_, stride_;
};

class Flatten : public Module {
 public:
  Tensor forward(const Tensor& x, Mode) override { return flatten(x); }
  void visit(Visitor&) override {}
};

// Zeroes elements with probability p while training.
class Dropout : public Module {
 public:
  explicit Dropout(double p) : p_(p) {}
  Tensor forward(const Tensor& x, Mode mode) override { return dropout(x, p_, mode); }
  void visit(Visitor&) override {}

 private:
  double p_;
};

// Runs its children one after another; they are named by their place unless a name is given.
class Sequential : public Module {
 public:
  template <class M, class... Args>
  Sequential& add(const std::string& name, Args&&... args) {
    children_.emplace_back(name, std::make_unique<M>(std::forward<Args>(args)...));
    return *this;
  }
  Tensor forward(const Tensor& x, Mode mode) override;
  void visit(Visitor& visitor) override;

 private:
  std::vector<std::pair<std::string, std::unique_ptr<Module>>> children_;
};

// Draws every weight of a module from N(0, 1 / fan_in) (LeCun et al. 1998) and sets the rest to
// zero. A weight's values depend on the seed and its name alone.
void initialize(Module& module, uint64_t seed);

}  // namespace pare
