// Takes training steps of pare on command, so that train_speed.py can interleave them with the
// peers'. One step: forward, cross entropy, backward, SGD with momentum; inputs lie in memory. The
// protocol is that of bench/peers/train_step.py: "ready", then "warm N", "run N",
// "memory", "quit". --zeros S freezes a random mask with a share S of zeros on every matrix but the
// last.
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
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/zoo.h"
#include "optim/optimizer.h"

using namespace pare;

namespace {

constexpr int batches = 4;

struct Stepper {
  std::unique_ptr<Module> net;
  std::vector<Tensor> x, y;
  Sgd sgd;

  Stepper(std::unique_ptr<Module> made, ImageShape shape, int64_t batch)
      : net(std::move(made)), sgd(named_parameters(*net), {.rate = 1e-3, .momentum = 0.9}) {
    Rng rng(1);
    for (int b = 0; b < batches; ++b) {
      x.push_back(Tensor::empty({batch, shape.channels, shape.height, shape.width}, DType::f32,
                                Format::nhwc));
      for (int64_t i = 0; i < x[size_t(b)].elements(); ++i)
        x[size_t(b)].data<float>()[i] = float(rng.normal());
      y.push_back(Tensor::empty({batch}, DType::i32));
      for (int64_t i = 0; i < batch; ++i) y[size_t(b)].data<int32_t>()[i] = int32_t(rng.below(10));
    }
  }
  void step(int i) {
    Tape tape;
    const size_t b = size_t(i % batches);
    tape.backward(softmax_cross_entropy((*net)(x[b], Mode::train), y[b]));
    sgd.step();
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

int run(const std::string& name, int64_t batch, double zeros, clockid_t clock) {
  const size_t started = resident("VmRSS");
  const bool colour = name == "cifar-cnn" || name.starts_with("resnet");
  const ImageShape shape = colour ? ImageShape{3, 32, 32} : ImageShape{};
  Stepper s(make_model(name, shape, 10, 1), shape, batch);
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
  clockid_t clock = CLOCK_MONOTONIC;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--net")) net = argv[i + 1];
    if (!std::strcmp(argv[i], "--batch")) batch = std::atoll(argv[i + 1]);
    if (!std::strcmp(argv[i], "--zeros")) zeros = std::atof(argv[i + 1]);
    if (!std::strcmp(argv[i], "--clock") && !std::strcmp(argv[i + 1], "cpu"))
      clock = CLOCK_PROCESS_CPUTIME_ID;
    if (!std::strcmp(argv[i], "--threads")) set_threads(std::atoi(argv[i + 1]));
  }
  try {
    return run(net, batch, zeros, clock);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
