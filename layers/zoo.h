// The named networks.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "autograd/module.h"

namespace pare {

struct ImageShape {
  int64_t channels = 1, height = 28, width = 28;
};

// Names make_model knows: mlp (LeNet-300-100), lenet5 (Caffe's), lenet5-classic (LeCun et al. 1998
// with ReLU and max pooling), cifar-cnn, and resnet20, 32, 44, 56, 110 (He et al. 2016, CIFAR form
// with parameter-free shortcuts).
std::vector<std::string_view> model_names();
// A network for inputs of `input` and `classes` outputs, initialized from `seed`. Unknown names are
// an Error that says what is close.
std::unique_ptr<Module> make_model(std::string_view name, ImageShape input, int64_t classes,
                                   uint64_t seed);
// The gain of initialize() that make_model uses for that network; 1 for a name it does not know.
double initial_gain(std::string_view name);

}  // namespace pare
