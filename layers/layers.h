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
  // Without `with_bias` the layer adds none, as suits one that batch norm follows.
  Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& options = {},
         bool with_bias = true);
  Tensor forward(const Tensor& x, Mode mode) override;
  void visit(Visitor& visitor) override;
  Param weight, bias;  // [out, in / groups, kernel, kernel], [out]

 private:
  Conv2dOptions options_;
};

// Batch norm over the channels of [batch, channels] or [batch, channels, h, w], then ReLU if asked.
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(int64_t channels, bool relu = false);
  Tensor forward(const Tensor& x, Mode mode) override { return run(x, mode, nullptr); }
  // The same with `residual`, of x's shape, added before the ReLU.
  Tensor forward(const Tensor& x, const Tensor& residual, Mode mode) {
    return run(x, mode, &residual);
  }
  void visit(Visitor& visitor) override;
  Param gamma, beta;
  Buffer running_mean, running_variance;

 private:
  Tensor run(const Tensor& x, Mode mode, const Tensor* residual);
  bool relu_;
};

// y = act(body(x) + shortcut(x)); without a shortcut x itself is added.
class Residual : public Module {
 public:
  explicit Residual(std::unique_ptr<Module> body, std::unique_ptr<Module> shortcut = nullptr,
                    bool relu = true)
      : body_(std::move(body)), shortcut_(std::move(shortcut)), relu_(relu) {}
  Tensor forward(const Tensor& x, Mode mode) override;
  void visit(Visitor& visitor) override;

 private:
  std::unique_ptr<Module> body_, shortcut_;
  bool relu_;
};

// The parameter-free shortcut of He et al. 2016 (option A): every `stride`-th pixel, and channels
// of zeros behind those there are.
class PadShortcut : public Module {
 public:
  PadShortcut(int64_t stride, int64_t extra_channels) : stride_(stride), extra_(extra_channels) {}
  Tensor forward(const Tensor& x, Mode mode) override;
  void visit(Visitor&) override {}

 private:
  int64_t stride_, extra_;
};

class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(int kernel, int stride = 0) : kernel_(kernel), stride_(stride) {}
  Tensor forward(const Tensor& x, Mode) override { return max_pool2d(x, kernel_, stride_); }
  void visit(Visitor&) override {}

 private:
  int kernel_, stride_;
};

class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(int kernel, int stride = 0) : kernel_(kernel), stride_(stride) {}
  Tensor forward(const Tensor& x, Mode) override { return avg_pool2d(x, kernel_, stride_); }
  void visit(Visitor&) override {}

 private:
  int kernel_, stride_;
};

// Mean over the pixels: [batch, channels, h, w] to [batch, channels].
class GlobalAvgPool : public Module {
 public:
  Tensor forward(const Tensor& x, Mode) override { return global_avg_pool(x); }
  void visit(Visitor&) override {}
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
    return add(name, std::make_unique<M>(std::forward<Args>(args)...));
  }
  // The same with a module made elsewhere.
  Sequential& add(const std::string& name, std::unique_ptr<Module> child) {
    name_child(*child, name);
    children_.emplace_back(name, std::move(child));
    return *this;
  }
  Tensor forward(const Tensor& x, Mode mode) override;
  void visit(Visitor& visitor) override;

 private:
  std::vector<std::pair<std::string, std::unique_ptr<Module>>> children_;
};

// Draws every weight of two or more axes from N(0, gain / fan_in); biases and norms keep the values
// they were made with. A gain of 1 is LeCun's (1998), 2 suits ReLU (He et al. 2015).
void initialize(Module& module, uint64_t seed, double gain = 1);

}  // namespace pare
