// Takes training steps of pare on command, so that train_speed.py can interleave them with the
// peers'. One step: forward, cross entropy, backward, SGD with momentum; inputs lie in memory. The
// protocol is that of bench/peers/train_step.py: "ready", then "warm N", "run N",
// "memory", "quit". --zeros S freezes a random mask with a share S of zeros on every matrix but the
// last.
//
// With --device cuda the steps are recorded and replayed, and each waits for its loss;
// --precision fp32, tf32 or bf16.
//
// Example: printf 'warm 20\nrun 50\nquit\n' | build/bench/train_step --net mlp --batch 64
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/device.h"
#include "core/fetch.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"
#include "optim/recorded_step.h"

using namespace pare;

namespace {

constexpr int batches = 4;

struct Stepper {
  std::unique_ptr<Module> net;
  Device device;
  std::vector<Tensor> x, y;
  Sgd sgd;
  // On a device: the network as a graph, the batch that its steps read, and their loss.
  Graph graph;
  Batch batch;
  RecordedStep recorded;
  Tensor loss;

  Stepper(std::unique_ptr<Module> made, ImageShape shape, int64_t batch_size, Device where)
      : net(std::move(made)),
        device(where),
        sgd((to_device(*net, where), named_parameters(*net)), {.rate = 1e-3, .momentum = 0.9}) {
    draw(shape, batch_size);
    if (device == Device{}) return;
    for (size_t b = 0; b < size_t(batches); ++b) {
      x[b] = x[b].plain().to(device);
      y[b] = y[b].to(device);
    }
    batch = {x[0].clone(), y[0].clone(), {}};
    graph = capture(*net, x[0]);
  }
  void draw(ImageShape shape, int64_t batch_size) {
    Rng rng(1);
    for (int b = 0; b < batches; ++b) {
      x.push_back(Tensor::empty({batch_size, shape.channels, shape.height, shape.width}, DType::f32,
                                Format::nhwc));
      for (int64_t i = 0; i < x[size_t(b)].elements(); ++i)
        x[size_t(b)].data<float>()[i] = float(rng.normal());
      y.push_back(Tensor::empty({batch_size}, DType::i32));
      for (int64_t i = 0; i < batch_size; ++i)
        y[size_t(b)].data<int32_t>()[i] = int32_t(rng.below(10));
    }
  }
  void step(int i) {
    const size_t b = size_t(i % batches);
    if (device != Device{}) return step_on_device(b);
    Tape tape;
    tape.backward(softmax_cross_entropy((*net)(x[b], Mode::train), y[b]));
    sgd.step();
  }
  void step_on_device(size_t b) {
    batch.images.copy_from(x[b]);
    batch.labels.copy_from(y[b]);
    recorded.run(graph, batch, [&] {
      Tape tape;
      loss = softmax_cross_entropy(graph(batch.images, Mode::train), batch.labels);
      tape.backward(loss);
    });
    sgd.queue_step(loss);
    double values[3];
    const Tensor results[] = {loss, sgd.verdict()};
    fetch(results, values);
    sgd.settle(values[2]);
  }
};

double now_ms(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return double(t.tv_sec) * 1e3 + double(t.tv_nsec) * 1e-6;
}

// Bytes of VmRSS or VmHWM.
size_t resident(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":"))
      return std::strtoull(line.c_str() + field.size() + 1, nullptr, 10) * 1024;
  return 0;
}

// A frozen mask with a share of zeros, at random, on every matrix but the last.
void sparsify(Module& net, double zeros) {
  Rng rng(7);
  const NamedParams params = named_parameters(net);
  std::vector<Param> matrices;
  for (const auto& [key, p] : params)
    if (p.value().rank() == 2) matrices.push_back(p);
  for (size_t i = 0; i + 1 < matrices.size(); ++i) {
    const Tensor mask = Tensor::empty(matrices[i].value().shape(), DType::u8);
    for (int64_t k = 0; k < mask.elements(); ++k) mask.data<uint8_t>()[k] = rng.uniform() >= zeros;
    matrices[i].set_mask(mask);
  }
}

int run(const std::string& name, int64_t batch, double zeros, clockid_t clock, Device device) {
  const size_t started = resident("VmRSS");
  const bool colour = name == "cifar-cnn" || name.starts_with("resnet");
  const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
  Stepper s(make_model(name, shape, 10, 1), shape, batch, device);
  if (zeros > 0) sparsify(*s.net, zeros);
  std::printf("ready\n");
  std::fflush(stdout);
  std::string command;
  int count = 0, done = 0;
  while (std::cin >> command && command != "quit") {
    if (command == "memory") {
      std::printf("%zu", resident("VmHWM") - started);
    } else if (std::cin >> count) {
      for (int i = 0; i < count; ++i, ++done) {
        const double start = now_ms(clock);
        s.step(done);
        if (command == "run") std::printf("%.5f ", now_ms(clock) - start);
      }
      if (command == "warm") std::printf("ok");
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string net = "mlp";
  int64_t batch = 64;
  double zeros = 0;
  std::string device = "cpu", precision = "fp32";
  clockid_t clock = CLOCK_MONOTONIC;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--net")) net = argv[i + 1];
    if (!std::strcmp(argv[i], "--batch")) batch = std::atoll(argv[i + 1]);
    if (!std::strcmp(argv[i], "--zeros")) zeros = std::atof(argv[i + 1]);
    if (!std::strcmp(argv[i], "--clock") && !std::strcmp(argv[i + 1], "cpu"))
      clock = CLOCK_PROCESS_CPUTIME_ID;
    if (!std::strcmp(argv[i], "--device")) device = argv[i + 1];
    if (!std::strcmp(argv[i], "--precision")) precision = argv[i + 1];
    if (!std::strcmp(argv[i], "--threads")) set_threads(std::atoi(argv[i + 1]));
  }
  try {
    const PrecisionScope scope(precision_named(precision));
    return run(net, batch, zeros, clock, select_device(device));
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
