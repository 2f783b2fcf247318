// `pare doctor --check`: every kernel of a device against the CPU.
#include <doctest/doctest.h>

#include "autograd/op.h"
#include "compress/device_check.h"
#include "core/kernel_check.h"
#include "core/typed.h"
#include "tests/cuda/devices.h"

using namespace pare;
using namespace pare::testing;

namespace {

using Outcome = KernelReport::Outcome;

// Kernels of the library: tests of this program register some of their own.
bool is_ours(const std::string& kernel) {
  return !kernel.starts_with("copy_") && !kernel.starts_with("half_there");
}

std::vector<Device> all_devices() {
  std::vector<Device> devices = cuda_devices();
  if (tests_device(DeviceType::cuda_emulated)) devices.push_back({});
  return devices;
}

const KernelReport& find(const std::vector<KernelReport>& reports, const std::string& kernel) {
  for (const KernelReport& r : reports)
    if (r.kernel == kernel) return r;
  FAIL("no report of " << kernel);
  return reports[0];
}

}  // namespace

TEST_CASE("a check covers every kernel that a device has, and finds nothing") {
  for (const Device device : all_devices()) {
    CAPTURE(to_string(device));
    registered_ops();
    const std::vector<KernelReport> reports = check_device(device);
    for (const std::string& name : kernels_on(device))
      CHECK_MESSAGE(find(reports, name).kernel == name, name);
    for (const KernelReport& r : reports) {
      CAPTURE(r.kernel);
      CAPTURE(r.difference);
      if (is_ours(r.kernel)) CHECK(r.outcome == Outcome::ok);
    }
    if (device.type != DeviceType::cpu && has_tensor_cores(device))
      for (const char* product : {"dense.forward tf32", "conv2d.backward bf16", "a replay"})
        CHECK(find(reports, product).outcome == Outcome::ok);
  }
}

TEST_CASE("a check finds the kernel that is wrong, and no other" *
          doctest::test_suite("emulated")) {
  const Device device{DeviceType::cuda_emulated, 0};
  (void)backend_of(device);
  const auto report_with = [&](const char* kernel, KernelFn wrong) {
    const KernelFn right = kernel_function(kernel, device.type);
    register_kernel(kernel, device.type, wrong);
    const std::vector<KernelReport> reports = check_device(device);
    register_kernel(kernel, device.type, right);
    for (const KernelReport& r : reports)
      if (r.kernel != kernel && is_ours(r.kernel) && r.kernel != "gelu.backward")
        CHECK_MESSAGE(r.outcome == Outcome::ok, r.kernel, ": ", r.difference);
    return find(reports, kernel);
  };
  const KernelReport off = report_with("tanh.backward", [](const KernelArgs& args) {
    const TensorArg& dx = args.grad_inputs[0];
    static const KernelFn right = kernel_function("sigmoid.backward", DeviceType::cuda_emulated);
    return dx.data ? right(args) : Status::ok;
  });
  CHECK(off.outcome == Outcome::differs);
  CHECK(off.difference.find("gradient of input 0, element 0 is ") != std::string::npos);
  const KernelReport failed = report_with("gelu.forward", [](const KernelArgs& args) {
    std::snprintf(args.error, error_length, "mine");
    return Status::failed;
  });
  CHECK(failed.outcome == Outcome::differs);
  CHECK(failed.difference.find("mine") != std::string::npos);
}

TEST_CASE("tensors that share memory are compared as they lie") {
  struct Seen : KernelWatch {
    int calls = 0;
    Status call(std::string_view, Device, KernelFn fn, const KernelArgs& args) override {
      ++calls;
      return fn(args);
    }
  };
  Seen outer;
  const Tensor x = Tensor::full({4, 3}, 1);
  const int before = outer.calls;
  {
    KernelCheck check{Device{}};
    x.rows(1, 2).fill(2);
    CHECK(check.verdicts().at("fill").calls == 1);
    CHECK(check.verdicts().at("fill").difference.empty());
  }
  CHECK(outer.calls == before);  // the innermost alone
  x.rows(0, 1).fill(0);
  CHECK(outer.calls == before + 1);
  CHECK(x.to_vector<float>() == std::vector<float>{0, 0, 0, 2, 2, 2, 1, 1, 1, 1, 1, 1});
}
