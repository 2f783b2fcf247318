// What a training step needs beside its ops, on every CUDA device present: the optimizers give the
// CPU's bits, refused steps change nothing, and data that are wrong are told.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/ops.h"
#include "autograd/tape.h"
#include "core/device.h"
#include "core/fetch.h"
#include "optim/evaluate.h"
#include "optim/optimizer.h"
#include "tests/cuda/devices.h"
#include "tests/support/op_case_list.h"

using namespace pare;
using namespace pare::testing;

namespace {

void give_gradient(const Param& p, const Tensor& g) {
  p.state().grad = g.to(p.value().dtype()).to(p.value().device());
  p.state().has_grad = true;
}

// Parameters of odd sizes, some masked, some without decay, more than one launch takes.
NamedParams some_params(Device device, DType dtype) {
  NamedParams params;
  for (int i = 0; i < 70; ++i) {
    const int64_t n = i == 3 ? 9001 : 1 + i * 7 % 50;
    Param p(noise({n}, uint64_t(i)).to(dtype).to(device), i % 3 != 0);
    if (i % 4 == 1 || i == 3) {
      Tensor mask = Tensor::full({n}, 1, DType::u8);
      for (int64_t k = 0; k < n; k += 3) mask.data<uint8_t>()[k] = 0;
      p.set_mask(mask.to(device));
    }
    params.emplace_back("p" + std::to_string(i), p);
  }
  return params;
}

std::unique_ptr<Optimizer> make(const char* rule, const NamedParams& params, double momentum = 0.9,
                                double clip = 0) {
  OptimizerOptions o{.rate = 0.01, .momentum = momentum, .weight_decay = 0.02, .clip = clip};
  o.name = rule;
  return make_optimizer(params, o);
}

void give_gradients(const NamedParams& params, uint64_t step) {
  for (size_t i = 0; i < params.size(); ++i)
    if (i != 7)  // one that takes no part
      give_gradient(params[i].second,
                    noise(params[i].second.value().shape(), 1000 * step + uint64_t(i)));
}

std::vector<double> all_state(const NamedParams& params) {
  std::vector<double> all;
  const auto add = [&](const Tensor& t) {
    const auto v = t.to_vector<double>();
    all.insert(all.end(), v.begin(), v.end());
  };
  for (const auto& [name, p] : params) {
    add(p.value());
    for (const auto& [slot, t] : p.state().slots) add(t);
    all.push_back(double(p.state().steps));
  }
  return all;
}

}  // namespace

TEST_CASE("optimizers on a device give the bits of the CPU") {
  for (const Device device : cuda_devices())
    for (const char* rule : {"sgd", "nesterov", "adam", "adamw"})
      for (const DType dtype : {DType::f32, DType::f64})
        for (const double momentum : {0.9, 0.0}) {
          CAPTURE(rule);
          const NamedParams on_cpu = some_params({}, dtype), there = some_params(device, dtype);
          const auto a = make(rule, on_cpu, momentum), b = make(rule, there, momentum);
          for (uint64_t t = 1; t <= 2; ++t) {
            give_gradients(on_cpu, t);
            give_gradients(there, t);
            a->step();
            b->step();
          }
          CHECK(all_state(on_cpu) == all_state(there));
          const auto g = there[3].second.grad().to_vector<double>();
          CHECK(g[0] == 0);  // masked
          CHECK(g[1] != 0);
        }
}

TEST_CASE("gradients are clipped by the norm of those that no mask drops") {
  for (const Device device : cuda_devices()) {
    const NamedParams on_cpu = some_params({}, DType::f32), there = some_params(device, DType::f32);
    const auto a = make("sgd", on_cpu, 0.9, 0.5), b = make("sgd", there, 0.9, 0.5);
    give_gradients(on_cpu, 1);
    give_gradients(there, 1);
    a->queue_step();
    b->queue_step();
    double cpu[2], device_values[2];
    fetch({&a->verdict(), 1}, cpu);
    fetch({&b->verdict(), 1}, device_values);
    double total = 0;
    for (const auto& [name, p] : on_cpu)
      for (int64_t k = 0; name != "p7" && k < p.grad().elements(); ++k)
        if (p.state().mask_kind == MaskKind::none || k % 3)
          total += std::pow(double(p.grad().data<float>()[k]), 2);
    CHECK(cpu[0] == doctest::Approx(0.5 / std::sqrt(total)).epsilon(1e-12));
    CHECK(device_values[0] == doctest::Approx(cpu[0]).epsilon(1e-12));
  }
}

TEST_CASE("a refused step changes nothing, and the next one goes on") {
  std::vector<Device> devices = cuda_devices();
  devices.push_back({});
  for (const Device device : devices)
    for (const double wrong : {double(INFINITY), double(-INFINITY), double(NAN)}) {
      const NamedParams params = some_params(device, DType::f32);
      const auto optimizer = make("adam", params, 0.9, 1.0);
      const auto before = all_state(params);
      give_gradients(params, 1);
      Tensor g = noise({9001}, 5).to(DType::f32);
      g.data<float>()[8999] = float(wrong);
      give_gradient(params[3].second, g);
      CHECK_THROWS_WITH_AS(optimizer->step(),
                           doctest::Contains("the gradient of 'p3' is not finite"), Error);
      CHECK(all_state(params) == before);
      // For a loss that is too large; a step queued behind it is refused too.
      const Tensor loss = Tensor::full({}, 3, DType::f32, device);
      give_gradients(params, 1);
      optimizer->queue_step(loss, 2.5);
      CHECK(all_state(params) != before);  // the counts of steps
      CHECK(!optimizer->settle(optimizer->verdict().to_vector<double>()[1]));
      CHECK(all_state(params) == before);
      give_gradients(params, 1);
      optimizer->queue_step(loss, 3.5);
      CHECK(optimizer->settle(optimizer->verdict().to_vector<double>()[1]));
      CHECK(all_state(params) != before);
    }
}

TEST_CASE("results of a step are fetched together") {
  for (const Device device : cuda_devices()) {
    std::vector<Tensor> tensors;
    std::vector<double> want;
    for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::i8, DType::u8})
      for (int i = 0; i < 12; ++i) {
        tensors.push_back(Tensor::full({i % 3}, i, dtype, device));
        for (int k = 0; k < i % 3; ++k) want.push_back(i);
      }
    std::vector<double> got(want.size());
    fetch(tensors, got);
    CHECK(got == want);
    CHECK_THROWS_AS(fetch(tensors, std::span(got).first(3)), Error);
  }
}

TEST_CASE(
    "correct answers are counted as on the CPU, equals included; NaN where one is not finite") {
  for (const Device device : cuda_devices())
    for (const int64_t classes : {1, 2, 10, 33, 100}) {
      const int64_t n = 301;
      Tensor x = noise({n, classes}, 3).to(DType::f32), y = Tensor::zeros({n}, DType::i32);
      for (int64_t i = 0; i < n; ++i) {
        float* row = x.data<float>() + i * classes;
        y.data<int32_t>()[i] = int32_t(std::max_element(row, row + classes) - row);
        if (i % 5 == 2) std::fill(row, row + classes, float(i));
        if (i % 7 == 3) y.data<int32_t>()[i] = int32_t(i % classes);
      }
      CHECK(count_correct(x.to(device), y).item() == count_correct(x, y).item());
      for (const float wrong : {NAN, INFINITY, -INFINITY})
        for (const int64_t place : {int64_t(0), 150 * classes - 1, 301 * classes - 1}) {
          Tensor bad = x.clone();
          bad.data<float>()[place] = wrong;
          CHECK(std::isnan(count_correct(bad.to(device), y).item()));
          CHECK(std::isnan(count_correct(bad, y).item()));
        }
    }
}

TEST_CASE("a label that is none is told, and no weight changes") {
  for (const Device device : cuda_devices())
    for (const int32_t label : {-1, 5, 1000000}) {
      Tensor labels = Tensor::zeros({40}, DType::i32);
      labels.data<int32_t>()[17] = labels.data<int32_t>()[31] = label;
      const NamedParams params{{"w", Param(noise({40, 5}, 2).to(DType::f32).to(device))}};
      const auto optimizer = make("sgd", params);
      const auto before = all_state(params);
      const auto train = [&] {
        Tape tape;
        tape.backward(softmax_cross_entropy(params[0].second(), labels.to(device)));
        optimizer->step();
      };
      CHECK_THROWS_WITH_AS(
          train(),
          doctest::Contains(
              ("label " + std::to_string(label) + " of example 17 is outside 0..4").c_str()),
          Error);
      CHECK(all_state(params) == before);
      labels.fill(2);
      train();
      CHECK(all_state(params) != before);
    }
}

TEST_CASE("dropout draws the stream of the CPU, in either format") {
  for (const Device device : cuda_devices())
    for (const Shape& shape : {Shape{3, 5, 7, 9}, Shape{1}, Shape{2, 4097}})
      for (const Format format : {Format::plain, Format::nhwc}) {
        if (format == Format::nhwc && shape.rank() != 4) continue;
        const Tensor x = noise(shape, 9).to(DType::f32).in_format(format);
        const auto run = [&](Device where) {
          const RunKeyScope key({7, 3});
          Tape tape;
          const Tensor in = tape.watch(x.to(where)), y = dropout(in, 0.3, Mode::train);
          tape.backward(y, x.to(where));
          auto all = y.to_vector<float>();
          const auto grad = tape.grad(in).to_vector<float>();
          all.insert(all.end(), grad.begin(), grad.end());
          return all;
        };
        CHECK(run(device) == run({}));
      }
}
