// Times kernels of a device one by one, at the shapes of the networks of the zoo, in microseconds a
// call: `calls` calls are recorded once and replayed `replays` times, so that no launch from the
// host is in the time. One JSON object a line, written as it comes.
//
// Example: build/bench/gpu_kernels --device cuda --batch 128 --precisions fp32,bf16
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/backend.h"
#include "core/device.h"
#include "core/device_graph.h"
#include "core/random.h"
#include "optim/optimizer.h"

using namespace pare;

namespace {

struct Options {
  Device device;
  int64_t batch = 128;
  int calls = 20, replays = 30;
  std::string precisions = "fp32,tf32,bf16", only;
};

Tensor normal(const Shape& shape, Device device, Format format = Format::plain) {
  Rng rng(uint64_t(shape.elements()));
  const Tensor t = Tensor::empty(shape, DType::f32);
  for (int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] = float(rng.normal());
  return t.in_format(format).to(device);
}

class Timer {
 public:
  explicit Timer(const Options& options) : o_(options) {}

  void time(const std::string& name, const std::string& shape, const char* precision,
            const std::function<void()>& call) const {
    if (name.find(o_.only) == std::string::npos) return;
    call();  // kernels are loaded, algorithms chosen
    DeviceGraph graph;
    const std::string refused = graph.record(o_.device, [&] {
      for (int i = 0; i < o_.calls; ++i) call();
    });
    check(refused.empty(), ErrorCode::device, "{}: {}", name, refused);
    graph.replay();
    synchronize(o_.device);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < o_.replays; ++i) graph.replay();
    synchronize(o_.device);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    std::printf("{\"op\":\"%s\",\"shape\":\"%s\",\"precision\":\"%s\",\"us\":%.3f}\n", name.c_str(),
                shape.c_str(), precision, took.count() / (o_.calls * o_.replays));
    std::fflush(stdout);
  }

  // The forward of an op, and forward and the gradient of one of its first two inputs.
  using Function = std::function<Tensor(const std::vector<Tensor>&)>;
  void time_op(const std::string& op, const std::string& shape, const char* precision,
               const std::vector<Tensor>& inputs, const Function& f, bool wants_input) const {
    time(op + " forward", shape, precision, [&] { (void)f(inputs); });
    const Tensor y = f(inputs), gradient = normal(y.shape(), o_.device, y.format());
    for (const int wanted : {0, 1}) {
      if (wanted == 0 && !wants_input) continue;
      // A backward needs its forward: both are timed, and the name says so.
      time(op + (wanted == 0 ? " forward and dx" : " forward and dw"), shape, precision, [&] {
        Tape tape;
        std::vector<Tensor> in = inputs;
        in[size_t(wanted)] = tape.watch(in[size_t(wanted)]);
        tape.backward(f(in), gradient);
      });
    }
  }

 private:
  const Options& o_;
};

struct Conv {
  const char* name;
  int64_t channels, size, out, kernel;
  int stride, padding;
  bool bias, wants_input;
};
// Every shape of a convolution in lenet5 and resnet20.
constexpr Conv convs[] = {{"lenet5 conv1", 1, 28, 20, 5, 1, 0, true, false},
                          {"lenet5 conv2", 20, 12, 50, 5, 1, 0, true, true},
                          {"resnet20 first", 3, 32, 16, 3, 1, 1, false, false},
                          {"resnet20 16", 16, 32, 16, 3, 1, 1, false, true},
                          {"resnet20 16 to 32", 16, 32, 32, 3, 2, 1, false, true},
                          {"resnet20 32", 32, 16, 32, 3, 1, 1, false, true},
                          {"resnet20 32 to 64", 32, 16, 64, 3, 2, 1, false, true},
                          {"resnet20 64", 64, 8, 64, 3, 1, 1, false, true}};
constexpr int64_t denses[][2] = {{784, 300}, {300, 100}, {800, 500}};

void run(const Options& o) {
  const Timer timer(o);
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    const char* name = to_string(precision);
    if (o.precisions.find(name) == std::string::npos) continue;
    const PrecisionScope scope(precision);
    for (const auto& [in, out] : denses)
      timer.time_op(
          "dense", message("{}x{} to {}", o.batch, in, out), name,
          {normal({o.batch, in}, o.device), normal({out, in}, o.device), normal({out}, o.device)},
          [](const std::vector<Tensor>& t) { return dense(t[0], t[1], t[2]); }, true);
    for (const Conv& c : convs) {
      const Conv2dOptions options{.stride = c.stride, .padding = c.padding};
      timer.time_op(
          "conv2d", c.name, name,
          {normal({o.batch, c.channels, c.size, c.size}, o.device, Format::nhwc),
           normal({c.out, c.channels, c.kernel, c.kernel}, o.device),
           c.bias ? normal({c.out}, o.device) : Tensor()},
          [=](const std::vector<Tensor>& t) { return conv2d(t[0], t[1], t[2], options); },
          c.wants_input);
    }
  }
  for (const auto& [channels, size] : {std::pair{16, 32}, {32, 16}, {64, 8}}) {
    Buffer mean(Tensor::zeros({channels}, DType::f32, o.device)),
        variance(Tensor::full({channels}, 1, DType::f32, o.device));
    timer.time_op(
        "batch_norm", message("{} of {}", channels, size), "fp32",
        {normal({o.batch, channels, size, size}, o.device, Format::nhwc),
         normal({channels}, o.device), normal({channels}, o.device)},
        [&](const std::vector<Tensor>& t) {
          return batch_norm(t[0], t[1], t[2], mean, variance, Mode::train, {.relu = true});
        },
        true);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  std::string device = "cuda";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string word = argv[i], value = argv[i + 1];
    if (word == "--device") device = value;
    if (word == "--batch") o.batch = std::atoll(argv[i + 1]);
    if (word == "--calls") o.calls = std::atoi(argv[i + 1]);
    if (word == "--replays") o.replays = std::atoi(argv[i + 1]);
    if (word == "--precisions") o.precisions = value;
    if (word == "--only") o.only = value;
  }
  try {
    o.device = select_device(device);
    check(DeviceGraph::supported(o.device), ErrorCode::device,
          "{} records no work; kernels are timed in recorded work", o.device);
    run(o);
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return int(e.code());
  }
}
