// Training on the device: it follows the CPU's within float drift, repeats to the bit, and its
// checkpoints go on anywhere.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "autograd/graph_file.h"
#include "datasets/digits.h"
#include "layers/zoo.h"
#include "optim/trainer.h"
#include "tests/cuda/devices.h"
#include "tests/support/quarters.h"

using namespace pare;
using namespace pare::testing;
namespace fs = std::filesystem;

namespace {

// Digits shrunk to 14 x 14 by taking the mean of four pixels: an emulated thread is slow.
Examples small_digits(int64_t first, int64_t n) {
  const Examples big = draw_digits(1, first, n);
  Examples e{Tensor::empty({n, 1, 14, 14}, DType::u8), big.labels};
  for (int64_t i = 0; i < n; ++i)
    for (int64_t y = 0; y < 14; ++y)
      for (int64_t x = 0; x < 14; ++x) {
        const uint8_t* p = big.images.data<uint8_t>() + (i * 28 + 2 * y) * 28 + 2 * x;
        e.images.data<uint8_t>()[(i * 14 + y) * 14 + x] =
            uint8_t((p[0] + p[1] + p[28] + p[29]) / 4);
      }
  return e;
}

const Dataset& digits() {
  static const Dataset d{.name = "small digits",
                         .train = small_digits(0, 96),
                         .test = small_digits(5000, 32),
                         .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
                         .preprocessing = {.scale = 1.0 / 255, .mean = {0.2}, .deviation = {0.3}},
                         .augmentation = {}};
  return d;
}

std::unique_ptr<Module> mlp() {
  auto net = std::make_unique<Sequential>();
  net->add<Flatten>("flatten").add<Dense>("fc1", 196, 32, true).add<Dense>("fc2", 32, 10);
  initialize(*net, 1);
  return net;
}

// LeNet-5's layers, narrower.
std::unique_ptr<Module> lenet() {
  auto net = std::make_unique<Sequential>();
  net->add<Conv2d>("conv1", 1, 4, 5, Conv2dOptions{.padding = 2, .relu = true});
  net->add<MaxPool2d>("pool1", 2);
  net->add<Conv2d>("conv2", 4, 6, 3, Conv2dOptions{.relu = true}).add<MaxPool2d>("pool2", 2);
  net->add<Flatten>("flatten").add<Dense>("fc1", 24, 24, true).add<Dense>("fc2", 24, 10);
  initialize(*net, 1);
  return net;
}

std::unique_ptr<Module> batch_norm_net() {
  auto net = std::make_unique<Sequential>();
  net->add<Conv2d>("conv1", 1, 6, 3, Conv2dOptions{.stride = 2, .padding = 1}, false);
  net->add<BatchNorm2d>("bn1", 6, true);
  net->add<Conv2d>("conv2", 6, 8, 3, Conv2dOptions{.padding = 1}, false);
  net->add<BatchNorm2d>("bn2", 8, true).add<GlobalAvgPool>("pool");
  net->add<Dense>("fc", 8, 10);
  initialize(*net, 1);
  return net;
}

TrainOptions options(const char* optimizer, double rate) {
  TrainOptions o;
  o.epochs = 2;
  o.batch = 16;
  o.optimizer = {.name = optimizer, .rate = rate, .weight_decay = 1e-3, .clip = 2};
  o.warmup = 0.5;
  o.augment = "shift";
  o.quiet = true;
  return o;
}

struct Result {
  TrainReport report;
  std::vector<float> values;
  int64_t replays = 0;
};

Result train(Module& net, Device device, const TrainOptions& o, const Dataset& data) {
  Graph g = capture(net, Tensor::zeros(Shape{1, data.train.images.size(1),
                                             data.train.images.size(2), data.train.images.size(3)}))
                .clone();
  to_device(g, device);
  Trainer trainer(g, data, o);
  Result r{trainer.run(), {}, 0};
  r.replays = trainer.recorded().replays();
  r.values = values_of(g);
  return r;
}

// The CPU and the device add the same numbers in different orders; over these few steps the losses
// drift apart by far less than a thousandth of themselves.
void follow(Module& net, const TrainOptions& o) {
  const Result here = train(net, {}, o, digits());
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const Result there = train(net, device, o, digits());
    REQUIRE(here.report.epochs.size() == there.report.epochs.size());
    for (size_t i = 0; i < here.report.epochs.size(); ++i) {
      const EpochRecord &a = here.report.epochs[i], &b = there.report.epochs[i];
      CAPTURE(i);
      CHECK(b.loss == doctest::Approx(a.loss).epsilon(1e-3));
      CHECK(b.val_loss == doctest::Approx(a.val_loss).epsilon(2e-3));
      CHECK(b.rate == a.rate);
    }
    CHECK(there.report.epochs.back().loss < there.report.epochs.front().loss);
  }
}

}  // namespace

TEST_CASE("an MLP trains as on the CPU") { follow(*mlp(), options("adamw", 0.005)); }
TEST_CASE("a LeNet trains as on the CPU") { follow(*lenet(), options("nesterov", 0.05)); }
TEST_CASE("a network with batch norms trains as on the CPU") {
  follow(*batch_norm_net(), options("sgd", 0.1));
}

TEST_CASE("replayed steps have the bits of kernels run one by one") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    for (const char* optimizer : {"adamw", "nesterov"}) {
      CAPTURE(optimizer);
      TrainOptions o = options(optimizer, 0.01);
      o.average = 0.9;
      const auto net = mlp();
      const Result replayed = train(*net, device, o, digits());
      o.record = false;
      const Result direct = train(*net, device, o, digits());
      CHECK(replayed.replays > 4);
      CHECK(direct.replays == 0);
      CHECK(replayed.values == direct.values);
      for (size_t i = 0; i < direct.report.epochs.size(); ++i) {
        CHECK(replayed.report.epochs[i].loss == direct.report.epochs[i].loss);
        CHECK(replayed.report.epochs[i].accuracy == direct.report.epochs[i].accuracy);
      }
    }
  }
}

TEST_CASE("a network with dropout draws anew at every replay, what the CPU draws") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    TrainOptions o = options("sgd", 0.05);
    o.epochs = 1;
    const auto net = quarters_network();
    const Result here = train(*net, {}, o, quarters()), there = train(*net, device, o, quarters());
    CHECK(there.replays > 4);
    CHECK(there.report.epochs[0].loss == doctest::Approx(here.report.epochs[0].loss).epsilon(1e-3));
    o.record = false;
    const Result direct = train(*net, device, o, quarters());
    CHECK(direct.replays == 0);
    CHECK(direct.values == there.values);
  }
}

TEST_CASE("a loss is replayed only where it says that its numbers never change") {
  const auto net = mlp();
  const auto first_losses = [&](Device device, bool falling, bool recordable) {
    Graph g = capture(*net, Tensor::zeros({1, 1, 14, 14})).clone();
    to_device(g, device);
    Trainer trainer(g, digits(), options("sgd", 0.05));
    double weight = 1;
    trainer.set_loss(
        [&](const Tensor& logits, const Batch& batch) {
          if (falling) weight *= 0.9;
          return softmax_cross_entropy(logits, batch.labels.to(logits.device())) * weight;
        },
        recordable);
    const TrainReport report = trainer.run();
    return std::pair{report.epochs.back().loss, trainer.recorded().replays()};
  };
  const double falling = first_losses({}, true, false).first;
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const auto there = first_losses(device, true, false);
    CHECK(there.second == 0);
    CHECK(there.first == doctest::Approx(falling).epsilon(1e-3));
    CHECK(first_losses(device, false, true).second > 0);
  }
}

TEST_CASE("a checkpoint written on one device goes on on another") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const fs::path folder =
        fs::temp_directory_path() / ("pare device " + std::to_string(::getpid()));
    fs::create_directories(folder);
    const std::string out = (folder / "m.pare").string();
    const auto net = mlp();
    TrainOptions o = options("adamw", 0.005);
    const Result whole = train(*net, device, o, digits());
    const std::pair<Device, Device> ways[] = {
        {device, device}, {device, Device{}}, {Device{}, device}};
    for (const auto& [first, second] : ways) {
      CAPTURE(to_string(first));
      CAPTURE(to_string(second));
      o.out = out;
      {
        Graph g = capture(*net, Tensor::zeros({1, 1, 14, 14})).clone();
        to_device(g, first);
        Trainer trainer(g, digits(), o);
        struct StopSecond : TrainHook {
          int evaluations = 0;
          void before_evaluation(Graph&) override {
            if (++evaluations == 2) fail(ErrorCode::device, "the device is lost");
          }
          bool recordable() const override { return true; }
        };
        trainer.add(std::make_shared<StopSecond>());
        CHECK_THROWS_AS(trainer.run(), Error);
      }
      Checkpoint c = load_checkpoint(out + ".ckpt");
      CHECK(c.machine == machine_of(first));
      CHECK(c.state.epoch == 1);
      c.options.quiet = true;
      to_device(c.graph, second);
      Trainer trainer(c, digits());
      const TrainReport report = trainer.run();
      if (first == second)
        CHECK(values_of(c.graph) == whole.values);
      else
        CHECK(report.epochs[1].loss == doctest::Approx(whole.report.epochs[1].loss).epsilon(1e-3));
      CHECK(device_of(c.graph) == second);
    }
    fs::remove_all(folder);
  }
}
