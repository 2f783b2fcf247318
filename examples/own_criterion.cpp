// A pruning criterion of one's own: LAMP (Lee et al. 2021), held against magnitude at 95 % zeros.
//
//   example_own_criterion [DATA] [EPOCHS] [EXAMPLES], for example
//   example_own_criterion mnist 5
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "compress/prune/prune.h"
#include "examples/arguments.h"
#include "layers/zoo.h"
#include "optim/evaluate.h"
#include "optim/recipe.h"

using namespace pare;

namespace {

// w^2 over the sum of w'^2 of its layer's weights that are no smaller: what of the layer is left if
// all smaller ones go. So layers compare without a rule for how much each may lose.
struct Lamp : Criterion {
  std::string name() const override { return "lamp"; }
  Tensor scores(const PrunableWeight& weight) const override {
    const auto w = weight.param.value().to_vector<double>();
    std::vector<size_t> by_size(w.size());
    std::iota(by_size.begin(), by_size.end(), size_t(0));
    std::sort(by_size.begin(), by_size.end(),
              [&](size_t a, size_t b) { return std::abs(w[a]) > std::abs(w[b]); });
    std::vector<double> score(w.size());
    double sum = 1e-30;
    for (const size_t i : by_size) score[i] = w[i] * w[i] / (sum += w[i] * w[i]);
    return score_elements(weight, [&](double, int64_t i) { return score[size_t(i)]; });
  }
};

void run(const example::Arguments& arguments) {
  const Dataset data = arguments.load();
  const Shape s = data.train.shape();
  const auto net = make_model("mlp", {s[0], s[1], s[2]}, int64_t(data.classes.size()), /*seed=*/1);
  Graph graph = capture(*net, Tensor::zeros({1, s[0], s[1], s[2]}));
  TrainOptions options = default_recipe("mlp", data);
  options.epochs = arguments.epochs;
  Trainer(graph, data, options).run();
  const auto accuracy = [&](const Graph& g) {
    Graph tested = g.clone();
    return 100 * evaluate(tested, data.test, data.preprocessing).accuracy;
  };
  std::printf("whole: %.2f %%\n", accuracy(graph));
  const Lamp lamp;
  const Magnitude magnitude;
  for (const Criterion* criterion :
       {static_cast<const Criterion*>(&lamp), static_cast<const Criterion*>(&magnitude)}) {
    Graph pruned = graph.clone();
    prune(pruned, *criterion, {.sparsity = 0.95, .scope = PruneScope::global});
    std::printf("95 %% zeros by %s: %.2f %%\n", criterion->name().c_str(), accuracy(pruned));
  }
}

}  // namespace

int main(int argc, char** argv) { return example::main(argc, argv, {"digits", 2}, run); }
