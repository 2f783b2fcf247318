// Trains a network of the zoo on MNIST: example_mnist [MODEL] [EPOCHS], with the four IDX files in
// $PARE_DATA/mnist. SGD with momentum, batch 64, the rate falling to zero along a cosine.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/error.h"
#include "core/random.h"
#include "datasets/idx.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"

using namespace pare;

namespace {

struct Part {
  IdxFile images, labels;
  int64_t size() const { return int64_t(labels.bytes.size()); }
};

std::string find_file(const std::string& name) {
  const char* root = std::getenv("PARE_DATA");
  check(root != nullptr, ErrorCode::bad_input,
        "PARE_DATA is not set; let it name the folder that holds mnist/{}", name);
  const std::string plain = std::string(root) + "/mnist/" + name;
  if (std::FILE* f = std::fopen(plain.c_str(), "rb")) {
    std::fclose(f);
    return plain;
  }
  return plain + ".gz";
}

Part load(const std::string& part) {
  Part p{read_idx(find_file(part + "-images-idx3-ubyte")),
         read_idx(find_file(part + "-labels-idx1-ubyte"))};
  check(p.images.extents.size() == 3 && p.labels.extents.size() == 1 &&
            p.images.extents[0] == p.labels.extents[0] && p.images.extents[1] == 28 &&
            p.images.extents[2] == 28 && p.size() > 0,
        ErrorCode::bad_input, "{}: images and labels do not belong together", part);
  return p;
}

// Images `index[first...]` with mean and deviation of the training set taken out.
void fill_batch(const Part& part, const std::vector<int64_t>& index, int64_t first, const Tensor& x,
                const Tensor& y) {
  for (int64_t i = 0; i < x.size(0); ++i) {
    const int64_t from = index[size_t(first + i)];
    const uint8_t* pixels = part.images.bytes.data() + from * 784;
    float* to = x.data<float>() + i * 784;
    for (int k = 0; k < 784; ++k) to[k] = (float(pixels[k]) / 255.0f - 0.1307f) / 0.3081f;
    y.data<int32_t>()[i] = part.labels.bytes[size_t(from)];
  }
}

double accuracy(Module& net, const Part& part) {
  std::vector<int64_t> index(size_t(part.size()));
  std::iota(index.begin(), index.end(), 0);
  int64_t right = 0;
  for (int64_t first = 0; first < part.size(); first += 250) {
    const int64_t n = std::min<int64_t>(250, part.size() - first);
    const Tensor x = Tensor::empty({n, 1, 28, 28}), y = Tensor::empty({n}, DType::i32);
    fill_batch(part, index, first, x, y);
    const Tensor logits = net(x, Mode::eval);
    for (int64_t i = 0; i < n; ++i) {
      const float* row = logits.data<float>() + i * 10;
      right += std::max_element(row, row + 10) - row == y.data<int32_t>()[i];
    }
  }
  return double(right) / double(part.size());
}

void run(const std::string& model, int epochs) {
  const Part train = load("train"), test = load("t10k");
  const auto net = make_model(model, {1, 28, 28}, 10, 1);
  const int64_t batch = 64, steps = epochs * (train.size() / batch);
  Sgd sgd(named_parameters(*net), {.rate = 0.03, .momentum = 0.9, .weight_decay = 5e-4});
  std::vector<int64_t> index(size_t(train.size()));
  std::iota(index.begin(), index.end(), 0);
  const Tensor x = Tensor::empty({batch, 1, 28, 28}), y = Tensor::empty({batch}, DType::i32);
  int64_t step = 0;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    Rng rng(mix_keys(1, uint64_t(epoch)));
    for (size_t i = index.size() - 1; i > 0; --i) std::swap(index[i], index[rng.below(i + 1)]);
    double loss_sum = 0;
    for (int64_t first = 0; first + batch <= train.size(); first += batch, ++step) {
      fill_batch(train, index, first, x, y);
      Tape tape;
      const Tensor loss = softmax_cross_entropy((*net)(x, Mode::train), y);
      tape.backward(loss);
      sgd.set_rate(0.015 * (1 + std::cos(3.14159265358979 * double(step) / double(steps))));
      sgd.step();
      loss_sum += loss.item();
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("epoch %d/%d  loss %.4f  test accuracy %.2f %%  %.0f images/s\n", epoch, epochs,
                loss_sum / double(train.size() / batch), 100 * accuracy(*net, test),
                double(train.size()) / seconds);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? argv[1] : "lenet5", argc > 2 ? std::atoi(argv[2]) : 5);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
