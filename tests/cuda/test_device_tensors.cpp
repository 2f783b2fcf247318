// Tensors that live on a device: everything a tensor can do, with the CPU's results.
#include <doctest/doctest.h>

#include "autograd/graph.h"
#include "autograd/op.h"
#include "autograd/ops.h"
#include "core/backend.h"
#include "core/cpu/backend_cpu.h"
#include "core/device.h"
#include "layers/layers.h"
#include "tests/cuda/devices.h"
#include "tests/support/op_case_list.h"

using namespace pare;
using namespace pare::testing;

namespace {
const Device emulated{DeviceType::cuda_emulated, 0};
}

TEST_CASE("tensors move, convert, fill and copy on the device") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    const Tensor x = noise({3, 5, 7, 33}, 4).to(DType::f32);
    const Tensor y = x.to(device);
    CHECK(y.device() == device);
    CHECK(y.to_vector<float>() == x.to_vector<float>());
    CHECK(y.clone().to_vector<float>() == x.to_vector<float>());
    CHECK(y.in_format(Format::nhwc).plain().to_vector<float>() == x.to_vector<float>());
    CHECK(y.in_format(Format::nhwc).to(Device{}).to_vector<float>() == x.to_vector<float>());
    CHECK(y.rows(1, 3).to_vector<float>() == x.rows(1, 3).to_vector<float>());
    CHECK(y.to(DType::f64).to_vector<double>() == x.to(DType::f64).to_vector<double>());
    CHECK(y.view({105, 33}).to_vector<float>() == x.to_vector<float>());
    for (const DType dtype :
         {DType::f32, DType::f64, DType::i32, DType::i64, DType::i8, DType::u8}) {
      const Tensor t = Tensor::full({3, 71}, 7, dtype, device);
      CHECK(t.to_vector<double>() == std::vector<double>(213, 7.0));
      CHECK(Tensor::full({}, 3, dtype, device).item() == 3);
      for (const DType target : {DType::f32, DType::i8, DType::i64})
        CHECK(t.to(target).to_vector<double>() == std::vector<double>(213, 7.0));
      CHECK(Tensor::zeros({2, 3, 2, 2}, dtype, device).in_format(Format::nhwc).to_vector<float>() ==
            std::vector<float>(24, 0.f));
    }
    CHECK(
        Tensor::from<float>({0.5f, 1.5f, -2.5f}, {3}).to(device).to(DType::i32).to_vector<int>() ==
        std::vector<int>{0, 2, -2});
    Tensor z = Tensor::empty({3, 5, 7, 33}, DType::f32, Format::nhwc, device);
    z.copy_from(x);
    CHECK(z.to_vector<float>() == x.to_vector<float>());
    CHECK(Tensor::zeros({0, 3}, DType::f32, device).to_vector<float>().empty());
  }
}

TEST_CASE("tall images change their format: more tiles than blocks along y") {
  const int64_t rows = 65536 * 32 + 1;
  Tensor x = Tensor::empty({1, 2, rows, 1}, DType::u8);
  for (int64_t i = 0; i < x.elements(); ++i) x.data<uint8_t>()[i] = uint8_t(i * 37 + i / 251);
  for (const Device device : cuda_devices()) {
    const Tensor y = x.to(device).in_format(Format::nhwc);
    CHECK(y.plain().to_vector<uint8_t>() == x.to_vector<uint8_t>());
  }
}

TEST_CASE("masks hold on the device") {
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    Param p(noise({4, 4}, 3).to(DType::f32).to(device));
    p.slot("momentum").fill(2);
    p.set_mask(
        Tensor::from<uint8_t>({1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1}, {4, 4}).to(device));
    const auto v = p.value().to_vector<float>(), m = p.slot("momentum").to_vector<float>();
    for (size_t i : {1, 2, 7, 8, 9, 10, 11}) {
      CHECK(v[i] == 0);
      CHECK(m[i] == 0);
    }
    CHECK(m[0] == 2);
  }
}

TEST_CASE("a graph of constants alone, inside another module, moves and says where it is") {
  struct Shift : Module {
    Tensor forward(const Tensor& x, Mode) override { return x + Tensor::full({3}, 2); }
    void visit(Visitor&) override {}
  } shift;
  Sequential net;
  net.add("shift", std::make_unique<Graph>(capture(shift, Tensor::zeros({1, 3}))));
  CHECK(device_of(net) == Device{});
  std::vector<Device> there_and_back = cuda_devices();
  there_and_back.emplace_back();
  for (const Device device : there_and_back) {
    to_device(net, device);
    CHECK(device_of(net) == device);
    const Tensor y = net(Tensor::full({1, 3}, 1, DType::f32, device));
    CHECK(y.device() == device);
    CHECK(y.to_vector<float>() == std::vector<float>(3, 3.f));
  }
}

TEST_CASE("memory of the emulated device is fresh: reading what nobody wrote gives NaN") {
  Tensor::full({100}, 1, DType::f32, emulated);
  for (const float v : Tensor::empty({100}, DType::f32, Format::plain, emulated).to_vector<float>())
    CHECK(v != v);
}

TEST_CASE("devices are chosen by name, and an absent one says what to do") {
  CHECK(select_device("cpu") == Device{});
  CHECK(select_device("cuda-emulated") == emulated);
  std::string reason;
  const Device chosen = select_device("auto", &reason);
  CHECK(chosen.type != DeviceType::cuda_emulated);
  CHECK(reason != "");
  if (!probe_device(DeviceType::cuda).present) {
    CHECK(chosen == Device{});
    CHECK_THROWS_WITH_AS(select_device("cuda"), doctest::Contains("device cuda cannot be used"),
                         Error);
  }
  CHECK_THROWS_WITH_AS(select_device("gpu"), doctest::Contains("unknown"), Error);
}

TEST_CASE("a CUDA device has every kernel but the CPU's own") {
  registered_ops();  // so that all kernels are known
  for (const Device device : cuda_devices()) {
    CAPTURE(to_string(device));
    std::string missing;
    for (const std::string& name : missing_kernels(device)) missing += name + " ";
    CHECK(missing == "");
    for (const std::string_view name : cpu::own_kernels()) {
      CAPTURE(name);
      CHECK(Kernel(name).on(Device{}));
      CHECK(!Kernel(name).on(device));
    }
  }
}

TEST_CASE("a kernel that only the CPU has is listed, and its call refused") {
  register_kernel("lonely", DeviceType::cpu, [](const KernelArgs&) { return Status::ok; });
  for (const Device device : cuda_devices()) {
    CHECK(missing_kernels(device) == std::vector<std::string>{"lonely"});
    CHECK_THROWS_WITH_AS(Kernel("lonely")(device, {}), doctest::Contains("is not on device"),
                         Error);
  }
  register_kernel("lonely", DeviceType::cpu, nullptr);
}
