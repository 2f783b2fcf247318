// A residual network (He et al. 2016) with batch norm, augmentation and a one-cycle schedule: small
// blocks composed by Residual, trained as a graph.
//
//   example_resnet [DATA] [EPOCHS] [EXAMPLES]     for example: example_resnet cifar10 8
#include "examples/arguments.h"
#include "layers/layers.h"
#include "optim/trainer.h"

using namespace pare;

namespace {

// Two 3x3 convolutions beside a shortcut; where the block halves the image, the shortcut takes
// every second pixel and pads the new channels with zeros.
std::unique_ptr<Module> block(int64_t in, int64_t out, int stride) {
  auto body = std::make_unique<Sequential>();
  body->add<Conv2d>("conv1", in, out, 3, Conv2dOptions{.stride = stride, .padding = 1}, false)
      .add<BatchNorm2d>("norm1", out, /*relu=*/true)
      .add<Conv2d>("conv2", out, out, 3, Conv2dOptions{.padding = 1}, false)
      .add<BatchNorm2d>("norm2", out);
  std::unique_ptr<Module> shortcut;
  if (stride > 1 || in != out) shortcut = std::make_unique<PadShortcut>(stride, out - in);
  return std::make_unique<Residual>(std::move(body), std::move(shortcut));
}

struct SmallResnet : Module {
  Sequential net;
  SmallResnet(int64_t channels, int64_t classes) {
    net.add<Conv2d>("conv", channels, 16, 3, Conv2dOptions{.padding = 1}, false)
        .add<BatchNorm2d>("norm", 16, /*relu=*/true);
    net.add("block1", block(16, 16, 1)).add("block2", block(16, 32, 2));
    net.add("block3", block(32, 64, 2));
    net.add<GlobalAvgPool>("pool").add<Dense>("fc", 64, classes);
  }
  Tensor forward(const Tensor& x, Mode mode) override { return net(x, mode); }
  void visit(Visitor& v) override { v("net", net); }
};

void run(const example::Arguments& arguments) {
  const Dataset data = arguments.load();
  const Shape image = data.train.shape();
  SmallResnet net(image[0], int64_t(data.classes.size()));
  initialize(net, /*seed=*/1, /*gain=*/2);  // He's: half of a ReLU's inputs are lost
  Graph graph = capture(net, Tensor::zeros({1, image[0], image[1], image[2]}));

  TrainOptions options;
  options.epochs = arguments.epochs;
  options.batch = 128;
  options.schedule = ScheduleKind::one_cycle;
  options.augment = data.augmentation;
  options.optimizer = {.name = "nesterov", .rate = 0.2, .weight_decay = 5e-4};
  Trainer(graph, data, options).run();
  const Evaluation test = evaluate(graph, data.test, data.preprocessing);
  std::printf("test accuracy %.2f %%\n", 100 * test.accuracy);
}

}  // namespace

int main(int argc, char** argv) { return example::main(argc, argv, {"digits", 1}, run); }
