// Trains a network of the zoo by a loop of its own, so that every part of it can be changed:
// example_mnist [MODEL] [EPOCHS] [DATA], for example example_mnist lenet5 5 mnist.
//
// `pare train` and the class Trainer (optim/trainer.h) do the same with checkpoints, held-out
// examples and progress; docs/training.md.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/error.h"
#include "datasets/loader.h"
#include "layers/zoo.h"
#include "optim/evaluate.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

using namespace pare;

namespace {

void run(const std::string& model, int64_t epochs, const std::string& name) {
  const Dataset data = load_dataset(name);
  const Shape image = data.train.shape();
  const auto net = make_model(model, {image[0], image[1], image[2]}, int64_t(data.classes.size()),
                              /*seed=*/1);
  Loader loader(data.train, data.preprocessing, {.batch = 64, .seed = 1, .augment = {}});
  Sgd sgd(named_parameters(*net), {.weight_decay = 5e-4, .nesterov = true});
  const Schedule schedule{ScheduleKind::cosine, epochs * loader.batches()};
  Batch batch;
  for (int64_t epoch = 0, step = 0; epoch < epochs; ++epoch) {
    double loss_sum = 0;
    loader.start_epoch(epoch);
    while (loader.next(batch)) {
      const RunKeyScope key({1, uint64_t(step)});  // what dropout draws from
      Tape tape;
      const Tensor loss = softmax_cross_entropy((*net)(batch.images, Mode::train), batch.labels);
      tape.backward(loss);
      sgd.set_rate(0.03 * schedule.factor(step++));
      sgd.step();
      loss_sum += loss.item();
    }
    const Evaluation test = evaluate(*net, data.test, data.preprocessing);
    std::printf("epoch %d/%d  loss %.4f  test accuracy %.2f %%\n", int(epoch + 1), int(epochs),
                loss_sum / double(loader.batches()), 100 * test.accuracy);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "lenet5", argc > 2 ? std::atoi(argv[2]) : 5,
        argc > 3 ? argv[3] : "mnist");
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
