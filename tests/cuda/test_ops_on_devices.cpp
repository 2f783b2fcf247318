// Which ops run where: code of the CPU never sees memory of a device.
#include <doctest/doctest.h>

#include "autograd/op.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tests/cuda/devices.h"

using namespace pare;
using namespace pare::testing;

namespace {

void infer(Call& c) { c.output(c.x().shape()); }

// An op with functions of its own that reach for elements, or through tensors.
const Op& own(const char* name, bool any_device) {
  return register_op(
      {.name = name,
       .inputs = {1, 1},
       .infer = infer,
       .forward = [](Call& c) { c.outputs[0].copy_from(c.x()); },
       .backward = [](BackwardCall& c) { c.passed[0] = c.grad_outputs[0] + c.grad_outputs[0]; },
       .any_device = any_device,
       .passes_gradients = true});
}

}  // namespace

TEST_CASE("an op's own function runs off the CPU where it says that it can") {
  static const Op &here = own("copy_here", false), &anywhere = own("copy_anywhere", true);
  CHECK(runs_on(here, {}));
  CHECK(differentiates_on(here, {}));
  for (const Device device : cuda_devices()) {
    const Tensor x = Tensor::full({3}, 2, DType::f32, device);
    CHECK_FALSE(runs_on(here, device));
    CHECK_FALSE(differentiates_on(here, device));
    CHECK_THROWS_WITH_AS(apply(here, {&x}),
                         doctest::Contains("copy_here: its forward runs on the CPU alone"), Error);
    CHECK(runs_on(anywhere, device));
    Tape tape;
    const Tensor leaf = tape.watch(x), y = apply(anywhere, {&leaf});
    tape.backward(y, x);
    CHECK(y.to_vector<float>() == std::vector<float>(3, 2));
    CHECK(tape.grad(leaf).to_vector<float>() == std::vector<float>(3, 4));
  }
}

TEST_CASE("a gradient that a device lacks is known before it is wanted") {
  static const Op& op = register_op({.name = "half_there", .inputs = {1, 1}, .infer = infer});
  const auto nothing = [](const KernelArgs&) { return Status::ok; };
  for (const char* name : {"half_there.forward", "half_there.backward"})
    register_kernel(name, DeviceType::cpu, nothing);
  for (const Device device : cuda_devices()) {
    CHECK_FALSE(runs_on(op, device));
    register_kernel("half_there.forward", device.type, nothing);
    CHECK(runs_on(op, device));
    CHECK_FALSE(differentiates_on(op, device));
    register_kernel("half_there.backward", device.type, nothing);
    CHECK(differentiates_on(op, device));
  }
}

TEST_CASE("every op of the library runs and differentiates on a CUDA device") {
  for (const Device device : cuda_devices())
    for (const Op* op : registered_ops()) {
      const std::string name = op->name;
      if (name.starts_with("copy_") || name == "half_there") continue;
      CAPTURE(name);
      CHECK(runs_on(*op, device));
      CHECK(differentiates_on(*op, device));
    }
}
