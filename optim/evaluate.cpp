#include "optim/evaluate.h"

#include <algorithm>
#include <chrono>

#include "autograd/ops.h"
#include "datasets/loader.h"

namespace pare {

int64_t count_correct(const Tensor& logits, const Tensor& labels) {
  const Tensor x = logits.to(Device{}).plain().to(DType::f32), y = labels.to(Device{});
  const int64_t classes = x.size(1);
  int64_t correct = 0;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const float* row = x.data<float>() + i * classes;
    correct += std::max_element(row, row + classes) - row == y.data<int32_t>()[i];
  }
  return correct;
}

Evaluation evaluate(Module& network, const Examples& examples, const Preprocessing& preprocessing,
                    int64_t batch) {
  Loader loader(examples, preprocessing, {.batch = batch, .shuffle = false, .augment = {}});
  const auto start = std::chrono::steady_clock::now();
  Evaluation e;
  Batch b;
  const Device device = device_of(network);
  loader.start_epoch(0);
  while (loader.next(b)) {
    const Tensor logits = network(b.images.to(device), Mode::eval);
    const int64_t n = b.labels.size(0);
    e.loss += softmax_cross_entropy(logits, b.labels.to(device)).item() * double(n);
    e.accuracy += double(count_correct(logits, b.labels));
    e.examples += n;
  }
  e.loss /= double(e.examples);
  e.accuracy /= double(e.examples);
  e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return e;
}

}  // namespace pare
