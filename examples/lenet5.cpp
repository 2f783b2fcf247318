// LeNet-5 out of ready layers, trained by the Trainer (progress, held-out examples, best epoch),
// saved, and loaded again by someone who knows nothing of the code that built it.
//
//   example_lenet5 [DATA] [EPOCHS] [EXAMPLES]     for example: example_lenet5 mnist 5
#include "autograd/graph_file.h"
#include "examples/arguments.h"
#include "layers/layers.h"
#include "optim/trainer.h"

using namespace pare;

namespace {

void train_and_save(const Dataset& data, int epochs, const std::string& file) {
  const int64_t channels = data.train.shape()[0];
  const int64_t side = ((data.train.shape()[1] - 4) / 2 - 4) / 2;
  Sequential net;
  net.add<Conv2d>("conv1", channels, 20, 5)
      .add<MaxPool2d>("pool1", 2)
      .add<Conv2d>("conv2", 20, 50, 5)
      .add<MaxPool2d>("pool2", 2)
      .add<Flatten>("flatten")
      .add<Dense>("fc1", 50 * side * side, 500, /*relu=*/true)
      .add<Dense>("fc2", 500, int64_t(data.classes.size()));
  initialize(net, /*seed=*/1);

  // One run of the network, recorded, is the graph: what trains, is saved, and is compressed.
  const Shape image = data.train.shape();
  Graph graph = capture(net, Tensor::zeros({1, image[0], image[1], image[2]}));
  describe_model(graph, "lenet5", data);

  TrainOptions options;
  options.epochs = epochs;
  options.optimizer = {.name = "nesterov", .rate = 0.03, .weight_decay = 5e-4};
  Trainer(graph, data, options).run();
  save_graph(graph, file);
}

void load_and_test(const Dataset& data, const std::string& file) {
  Graph graph = load_graph(file);
  const Dataset fitted = fit_data(graph, data);  // preprocessed as the model says
  const Evaluation test = evaluate(graph, fitted.test, fitted.preprocessing);
  std::printf("%s: test accuracy %.2f %%\n%s", file.c_str(), 100 * test.accuracy,
              to_string(graph).c_str());
}

void run(const example::Arguments& arguments) {
  const Dataset data = arguments.load();
  train_and_save(data, arguments.epochs, "lenet5.pare");
  load_and_test(data, "lenet5.pare");
}

}  // namespace

int main(int argc, char** argv) { return example::main(argc, argv, {"digits", 2}, run); }
