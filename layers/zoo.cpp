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

// Two 3x3 convolutions with batch norm and a shortcut around them (He et al. 2016), the addition
// and the ReLU behind it fused into the second norm.
class BasicBlock : public Module {
 public:
  BasicBlock(int64_t in, int64_t out, int stride)
      : conv1_(in, out, 3, {.stride = stride, .padding = 1}, false),
        norm1_(out, true),
        conv2_(out, out, 3, {.padding = 1}, false),
        norm2_(out, true),
        shortcut_(stride, out - in) {}
  Tensor forward(const Tensor& x, Mode mode) override {
    const Tensor y = norm1_(conv1_(x, mode), mode);
    const Tensor z = conv2_(y, mode);
    const Tensor around = shortcut_(x, mode);
    const ScopeName scope("norm2");
    return norm2_.forward(z, around, mode);
  }
  void visit(Visitor& v) override {
    v("conv1", conv1_);
    v("norm1", norm1_);
    v("conv2", conv2_);
    v("norm2", norm2_);
    v("shortcut", shortcut_);
  }

 private:
  Conv2d conv1_;
  BatchNorm2d norm1_;
  Conv2d conv2_;
  BatchNorm2d norm2_;
  PadShortcut shortcut_;
};

// He et al. 2016 for CIFAR: three stages of `blocks` blocks with 16, 32 and 64 channels.
template <int blocks>
std::unique_ptr<Sequential> resnet(ImageShape in, int64_t classes) {
  auto net = std::make_unique<Sequential>();
  net->add<Conv2d>("conv", in.channels, 16, 3, Conv2dOptions{.padding = 1}, false)
      .add<BatchNorm2d>("norm", 16, true);
  int64_t channels = 16;
  for (int stage = 1; stage <= 3; ++stage)
    for (int b = 1; b <= blocks; ++b) {
      const int64_t out = 8 << stage;
      net->add<BasicBlock>("stage" + std::to_string(stage) + ".block" + std::to_string(b), channels,
                           out, out == channels ? 1 : 2);
      channels = out;
    }
  net->add<GlobalAvgPool>("pool").add<Dense>("fc", 64, classes);
  return net;
}

struct Entry {
  std::string_view name;
  Maker make;
  double gain = 1;
};
constexpr Entry zoo[] = {{"mlp", mlp},
                         {"lenet5", lenet5},
                         {"lenet5-classic", lenet5_classic},
                         {"cifar-cnn", cifar_cnn, 2},
                         {"resnet20", resnet<3>, 2},
                         {"resnet32", resnet<5>, 2},
                         {"resnet44", resnet<7>, 2},
                         {"resnet56", resnet<9>, 2},
                         {"resnet110", resnet<18>, 2}};

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
      initialize(*net, seed, e.gain);
      return net;
    }
  const auto names = model_names();
  fail(ErrorCode::usage, "no model is named '{}'{}", name,
       suggest(name, names.data(), names.size()));
}

double initial_gain(std::string_view name) {
  for (const Entry& e : zoo)
    if (e.name == name) return e.gain;
  return 1;
}

}  // namespace pare
