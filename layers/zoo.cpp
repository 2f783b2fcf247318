#include "layers/zoo.h"

#include "core/error.h"
#include "layers/layers.h"

namespace pare {
namespace {

using Maker = std::unique_ptr<Sequential> (*)(ImageShape, int64_t classes);

std::unique_ptr<Sequential> mlp(ImageShape in, int64_t classes) {
  auto net = std::make_unique<Sequential>();
  net->add<Flatten>("flatten")
      .add<Dense>("fc1", in.channels * in.height * in.width, 300, true)
      .add<Dense>("fc2", 300, 100, true)
      .add<Dense>("fc3", 100, classes);
  return net;
}

std::unique_ptr<Sequential> lenet5(ImageShape in, int64_t classes) {
  const int64_t h = ((in.height - 4) / 2 - 4) / 2, w = ((in.width - 4) / 2 - 4) / 2;
  auto net = std::make_unique<Sequential>();
  net->add<Conv2d>("conv1", in.channels, 20, 5)
      .add<MaxPool2d>("pool1", 2)
      .add<Conv2d>("conv2", 20, 50, 5)
      .add<MaxPool2d>("pool2", 2)
      .add<Flatten>("flatten")
      .add<Dense>("fc1", 50 * h * w, 500, true)
      .add<Dense>("fc2", 500, classes);
  return net;
}

std::unique_ptr<Sequential> lenet5_classic(ImageShape in, int64_t classes) {
  const int64_t h = (in.height / 2 - 4) / 2, w = (in.width / 2 - 4) / 2;
  auto net = std::make_unique<Sequential>();
  net->add<Conv2d>("conv1", in.channels, 6, 5, Conv2dOptions{.padding = 2, .relu = true})
      .add<MaxPool2d>("pool1", 2)
      .add<Conv2d>("conv2", 6, 16, 5, Conv2dOptions{.relu = true})
      .add<MaxPool2d>("pool2", 2)
      .add<Flatten>("flatten")
      .add<Dense>("fc1", 16 * h * w, 120, true)
      .add<Dense>("fc2", 120, 84, true)
      .add<Dense>("fc3", 84, classes);
  return net;
}

std::unique_ptr<Sequential> cifar_cnn(ImageShape in, int64_t classes) {
  const Conv2dOptions same{.padding = 1, .relu = true};
  auto net = std::make_unique<Sequential>();
  net->add<Conv2d>("conv1", in.channels, 32, 3, same)
      .add<Conv2d>("conv2", 32, 32, 3, same)
      .add<MaxPool2d>("pool1", 2)
      .add<Conv2d>("conv3", 32, 64, 3, same)
      .add<Conv2d>("conv4", 64, 64, 3, same)
      .add<MaxPool2d>("pool2", 2)
      .add<Flatten>("flatten")
      .add<Dense>("fc1", 64 * (in.height / 4) * (in.width / 4), 256, true)
      .add<Dense>("fc2", 256, classes);
  return net;
}

struct Entry {
  std::string_view name;
  Maker make;
};
constexpr Entry zoo[] = {
    {"mlp", mlp}, {"lenet5", lenet5}, {"lenet5-classic", lenet5_classic}, {"cifar-cnn", cifar_cnn}};

}  // namespace

std::vector<std::string_view> model_names() {
  std::vector<std::string_view> names;
  for (const Entry& e : zoo) names.push_back(e.name);
  return names;
}

std::unique_ptr<Module> make_model(std::string_view name, ImageShape input, int64_t classes,
                                   uint64_t seed) {
  check(input.channels > 0 && input.height >= 16 && input.width >= 16 && classes > 1,
        "{}: images of {}x{}x{} and {} classes; needed are 16x16 pixels and 2 classes", name,
        input.channels, input.height, input.width, classes);
  for (const Entry& e : zoo)
    if (e.name == name) {
      auto net = e.make(input, classes);
      initialize(*net, seed);
      return net;
    }
  const auto names = model_names();
  fail(ErrorCode::usage, "no model is named '{}'{}", name,
       suggest(name, names.data(), names.size()));
}

}  // namespace pare
