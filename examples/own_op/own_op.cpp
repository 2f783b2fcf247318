// A network with an op of one's own: its gradient checked, trained, saved, loaded and pruned.
// Nothing of softsign.cpp is known to the library.
#include <cstdio>

#include "autograd/gradcheck.h"
#include "autograd/graph_file.h"
#include "compress/prune/prune.h"
#include "datasets/digits.h"
#include "optim/recipe.h"
#include "softsign.h"

using namespace pare;

int main() {
  try {
    gradcheck([](const std::vector<Tensor>& v) { return apply(softsign_op(), {&v[0]}); },
              {Tensor::from<double>({-2, -0.5, 0.25, 3}, {4})});

    Sequential net;
    net.add<Flatten>("flatten").add<SoftDense>("hidden", 784, 64).add<Dense>("out", 64, 10);
    initialize(net, 1);
    const Dataset data = make_digits({.train = 6000, .test = 1000});
    Graph graph = capture(net, Tensor::zeros({1, 1, 28, 28}));
    TrainOptions options = default_recipe("mlp", data);
    options.epochs = 3;
    Trainer(graph, data, options).run();
    prune(graph, Magnitude(), {.sparsity = 0.5});
    describe_model(graph, "own_op", data);
    save_graph(graph, "own_op.pare");
    Graph loaded = load_graph("own_op.pare");
    std::printf("pruned by half, from its file: %.1f %% of the test digits\n",
                100 * evaluate(loaded, data.test, data.preprocessing).accuracy);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
