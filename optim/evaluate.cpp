#include "optim/evaluate.h"

#include <chrono>
#include <cmath>
#include <vector>

#include "autograd/blame.h"
#include "autograd/ops.h"
#include "core/fetch.h"
#include "core/tensor_arg.h"
#include "datasets/loader.h"
#include "optim/model_facts.h"

namespace pare {

Tensor count_correct(const Tensor& logits, const Tensor& labels) {
  static const Kernel kernel("count_correct");
  const Device device = logits.device();
  const Tensor x = logits.plain(), y = labels.to(device),
               count = Tensor::empty({}, DType::f64, Format::plain, device);
  const TensorArg in[] = {tensor_arg(x), tensor_arg(y)}, out = tensor_arg(count);
  KernelArgs args;
  args.inputs = in;
  args.input_count = 2;
  args.outputs = &out;
  args.output_count = 1;
  kernel(device, args);
  return count;
}

Evaluation evaluate(Module& network, const Examples& examples, const Preprocessing& preprocessing,
                    int64_t batch, ErrorCode not_finite) {
  const auto start = std::chrono::steady_clock::now();
  if (const auto* graph = dynamic_cast<const Graph*>(&network))
    check_preprocessing(*graph, preprocessing);
  check_pixels(examples, preprocessing, "the images to evaluate on");
  const Device device = device_of(network);
  check_parameters(network, "the network", not_finite);
  Loader loader(examples.to(device), preprocessing,
                {.batch = batch, .shuffle = false, .augment = {}});
  Evaluation e;
  Batch b;
  std::vector<Tensor> results;  // loss and count of each batch, read once: nothing waits until then
  std::vector<int64_t> sizes;
  loader.start_epoch(0);
  while (loader.next(b)) {
    const Tensor logits = network(b.images, Mode::eval);
    const int64_t n = b.labels.size(0);
    results.push_back(softmax_cross_entropy(logits, b.labels));
    results.push_back(count_correct(logits, b.labels));
    sizes.push_back(n);
  }
  std::vector<double> values(results.size());
  fetch(results, values);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (!std::isfinite(values[2 * i]) || !std::isfinite(values[2 * i + 1])) {
      loader.start_epoch(0, int64_t(i));
      loader.next(b);
      fail(not_finite, "the network answers with numbers that are not finite (images {} to {}): {}",
           b.indices.front(), b.indices.back(), blame(network, b.images));
    }
    e.loss += values[2 * i] * double(sizes[i]);
    e.accuracy += values[2 * i + 1];
    e.examples += sizes[i];
  }
  e.loss /= double(e.examples);
  e.accuracy /= double(e.examples);
  e.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return e;
}

}  // namespace pare
