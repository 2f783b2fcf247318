#include "layers/layers.h"

#include <cmath>

#include "core/random.h"

namespace pare {

Dense::Dense(int64_t in, int64_t out, bool relu)
    : weight(Tensor::zeros({out, in})), bias(Tensor::zeros({out}), false), relu_(relu) {}
// Parameters are taken one by one: arguments have no order, and a graph should number its values
// alike whatever compiled it.
Tensor Dense::forward(const Tensor& x, Mode) {
  const Tensor w = weight(), b = bias();
  return dense(x, w, b, relu_);
}
void Dense::visit(Visitor& visitor) {
  visitor("weight", weight);
  visitor("bias", bias);
}

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& options,
               bool with_bias)
    : weight(Tensor::zeros({out, in / options.groups, kernel, kernel})), options_(options) {
  if (with_bias) bias = Param(Tensor::zeros({out}), false);
}
Tensor Conv2d::forward(const Tensor& x, Mode) {
  const Tensor w = weight(), b = bias.defined() ? bias() : Tensor();
  return conv2d(x, w, b, options_);
}
void Conv2d::visit(Visitor& visitor) {
  visitor("weight", weight);
  if (bias.defined()) visitor("bias", bias);
}

BatchNorm2d::BatchNorm2d(int64_t channels, bool relu)
    : gamma(Tensor::full({channels}, 1), false),
      beta(Tensor::zeros({channels}), false),
      running_mean(Tensor::zeros({channels})),
      running_variance(Tensor::full({channels}, 1)),
      relu_(relu) {}
Tensor BatchNorm2d::run(const Tensor& x, Mode mode, const Tensor* residual) {
  const Tensor g = gamma(), b = beta();
  return batch_norm(x, g, b, running_mean, running_variance, mode, {.relu = relu_}, residual);
}
void BatchNorm2d::visit(Visitor& visitor) {
  visitor("gamma", gamma);
  visitor("beta", beta);
  visitor("running_mean", running_mean);
  visitor("running_variance", running_variance);
}

Tensor Residual::forward(const Tensor& x, Mode mode) {
  const Tensor z = (*body_)(x, mode), around = shortcut_ ? (*shortcut_)(x, mode) : x;
  const Tensor y = add(z, around);
  return relu_ ? relu(y) : y;
}
void Residual::visit(Visitor& visitor) {
  visitor("body", *body_);
  if (shortcut_) visitor("shortcut", *shortcut_);
}

Tensor PadShortcut::forward(const Tensor& x, Mode) {
  const Tensor kept = stride_ == 1 ? x
                                   : slice(x, {0, 0, 0, 0},
                                           {slice_to_end, slice_to_end, slice_to_end, slice_to_end},
                                           {1, 1, stride_, stride_});
  return extra_ == 0 ? kept : pad(kept, {0, 0, 0, 0}, {0, extra_, 0, 0});
}

Tensor Sequential::forward(const Tensor& x, Mode mode) {
  Tensor y = x;
  for (auto& [name, child] : children_) y = (*child)(y, mode);
  return y;
}
void Sequential::visit(Visitor& visitor) {
  for (auto& [name, child] : children_) visitor(name, *child);
}

void initialize(Module& module, uint64_t seed, double gain) {
  for (auto& [name, param] : named_parameters(module)) {
    const Tensor& value = param.value();
    if (value.rank() < 2) continue;
    Rng rng(mix_keys(seed, hash_name(name)));
    const double scale = std::sqrt(gain * double(value.size(0)) / double(value.elements()));
    std::vector<double> values(size_t(value.elements()));
    for (double& v : values) v = rng.normal() * scale;
    value.copy_from(Tensor::from(values, value.shape()).to(value.dtype()).to(value.device()));
  }
}

}  // namespace pare
