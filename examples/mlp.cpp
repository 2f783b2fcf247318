// A multilayer perceptron from nothing: a module of one's own, and a training loop in which every
// step stands in plain sight.
//
//   example_mlp [DATA] [EPOCHS] [EXAMPLES]        for example: example_mlp mnist 10
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "datasets/loader.h"
#include "examples/arguments.h"
#include "layers/layers.h"
#include "optim/evaluate.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

using namespace pare;

namespace {

struct Perceptron : Module {
  Dense hidden, scores;
  Perceptron(int64_t in, int64_t classes) : hidden(in, 256, /*relu=*/true), scores(256, classes) {}

  Tensor forward(const Tensor& x, Mode mode) override {
    return scores(hidden(flatten(x), mode), mode);
  }
  // What a module owns, named once: training, saving, printing and pruning all walk this.
  void visit(Visitor& v) override {
    v("hidden", hidden);
    v("scores", scores);
  }
};

void run(const example::Arguments& arguments) {
  const Dataset data = arguments.load();
  Perceptron net(data.train.shape().elements(), int64_t(data.classes.size()));
  initialize(net, /*seed=*/1);

  Loader loader(data.train, data.preprocessing, {.batch = 64});
  Sgd sgd(named_parameters(net), {.rate = 0.1, .weight_decay = 1e-4});
  const Schedule schedule{ScheduleKind::cosine, arguments.epochs * loader.batches()};
  Batch batch;
  int64_t step = 0;
  for (int epoch = 0; epoch < arguments.epochs; ++epoch) {
    double total = 0;
    loader.start_epoch(epoch);
    while (loader.next(batch)) {
      Tape tape;  // records what follows
      const Tensor scores = net(batch.images, Mode::train);
      const Tensor loss = softmax_cross_entropy(scores, batch.labels);
      tape.backward(loss);  // gradients into the parameters
      sgd.set_rate(0.1 * schedule.factor(step++));
      sgd.step();
      total += loss.item();
    }
    const Evaluation test = evaluate(net, data.test, data.preprocessing);
    std::printf("epoch %d  loss %.4f  test accuracy %.2f %%\n", epoch + 1,
                total / double(loader.batches()), 100 * test.accuracy);
  }
}

}  // namespace

int main(int argc, char** argv) { return example::main(argc, argv, {"digits", 3}, run); }
