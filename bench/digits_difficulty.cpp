// How hard the generated digits are: test accuracy of a linear model and of LeNet-5 after training.
// Example: build/bench/digits_difficulty
#include <cstdio>

#include "core/error.h"
#include "datasets/digits.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "optim/recipe.h"

using namespace pare;

namespace {

void measure(const char* name, Module& net, const Dataset& data, TrainOptions options) {
  Graph graph = capture(net, Tensor::zeros({1, 1, 28, 28}));
  options.quiet = true;
  Trainer(graph, data, options).run();
  const Evaluation test = evaluate(graph, data.test, data.preprocessing);
  std::printf("%-8s %d epochs: test accuracy %.2f %%\n", name, int(options.epochs),
              100 * test.accuracy);
}

}  // namespace

int main() {
  try {
    const Dataset data = make_digits();
    Sequential linear;
    linear.add<Flatten>("flatten").add<Dense>("fc", 784, 10);
    TrainOptions options = default_recipe("mlp", data);
    measure("linear", linear, data, options);
    measure("lenet5", *make_model("lenet5", {}, 10, 1), data, default_recipe("lenet5", data));
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
