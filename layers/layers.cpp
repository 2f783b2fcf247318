#include "layers/layers.h"

#include <cmath>

#include "core/random.h"

namespace pare {

Dense::Dense(int64_t in, int64_t out, bool relu)
    : weight(Tensor::zeros({out, in})), bias(Tensor::zeros({out}), false), relu_(relu) {}
Tensor Dense::forward(const Tensor& x, Mode) { return dense(x, weight(), bias(), relu_); }
void Dense::visit(Visitor& visitor) {
  visitor("weight", weight);
  visitor("bias", bias);
}

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& options)
    : weight(Tensor::zeros({out, in / options.groups, kernel, kernel})),
      bias(Tensor::zeros({out}), false),
      options_(options) {}
Tensor Conv2d::forward(const Tensor& x, Mode) { return conv2d(x, weight(), bias(), options_); }
void Conv2d::visit(Visitor& visitor) {
  visitor("weight", weight);
  visitor("bias", bias);
}

Tensor Sequential::forward(const Tensor& x, Mode mode) {
  Tensor y = x;
  for (auto& [name, child] : children_) y = (*child)(y, mode);
  return y;
}
void Sequential::visit(Visitor& visitor) {
  for (auto& [name, child] : children_) visitor(name, *child);
}

void initialize(Module& module, uint64_t seed) {
  for (auto& [name, param] : named_parameters(module)) {
    const Tensor& value = param.value();
    if (value.rank() < 2) {
      value.fill(0);
      continue;
    }
    Rng rng(mix_keys(seed, hash_name(name)));
    const double scale = std::sqrt(double(value.size(0)) / double(value.elements()));
    std::vector<double> values(size_t(value.elements()));
    for (double& v : values) v = rng.normal() * scale;
    value.copy_from(Tensor::from(values, value.shape()).to(value.dtype()).to(value.device()));
  }
}

}  // namespace pare
