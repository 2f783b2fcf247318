// Every op case on every CUDA device present, emulated or not: against its definition in double, in
// both formats, forward and backward. Ops that have no kernel there yet are listed. An op is a
// subcase: -sc='conv2d on*' runs the cases of that op alone.
#include <doctest/doctest.h>

#include <map>

#include "autograd/op.h"
#include "core/device.h"
#include "tests/cuda/devices.h"
#include "tests/support/op_cases.h"

using namespace pare;
using namespace pare::testing;

namespace {

// An emulated thread takes a thousand times as long as a real one.
bool fits(const OpCase& c, Device device) {
  int64_t most = 0;
  for (const Tensor& x : c.inputs) most = std::max(most, x.elements());
  return device.type == DeviceType::cuda || most <= 100000;
}

// f(case, device) for the cases that fit, one subcase an op and device.
template <class F>
void over_cases(F&& f) {
  std::map<std::string, std::vector<const OpCase*>> ops;
  for (const OpCase& c : op_cases()) ops[c.op].push_back(&c);
  for (const Device device : cuda_devices())
    for (const auto& [op, cases] : ops) SUBCASE((op + " on " + to_string(device)).c_str())
  for (const OpCase* c : cases) {
    CAPTURE(c->name);
    if (fits(*c, device)) f(*c, device);
  }
}

// Whether f ran; false where a kernel is not on the device.
template <class F>
bool runs(F&& f) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    if (std::string_view(e.what()).find("is not on device") != std::string_view::npos) return false;
    FAIL_CHECK(std::string(e.what()));
    return true;
  }
}

}  // namespace

TEST_CASE("the emulated device is there") {
  CHECK_MESSAGE(probe_device(DeviceType::cuda_emulated).present,
                probe_device(DeviceType::cuda_emulated).description);
}

TEST_CASE("op cases agree with their definitions in double") {
  over_cases([](const OpCase& c, Device device) {
    for (const Format format : {Format::plain, Format::nhwc}) {
      if (format == Format::nhwc && c.inputs[0].rank() != 4) continue;
      const bool forward = runs([&] { check_forward(c, DType::f32, format, device); });
      const bool backward = forward && runs([&] { check_gradients(c, format, device); });
      if (forward) runs([&] { check_forward(c, DType::f64, format, device); });
      if (!backward)
        MESSAGE(to_string(device), " lacks ", c.op, forward ? ".backward" : ".forward");
    }
  });
}

TEST_CASE("outputs and gradients have the same bits every time") {
  over_cases([](const OpCase& c, Device device) {
    runs([&] {
      const std::vector<float> first = outputs_and_gradients(c, device);
      CHECK(outputs_and_gradients(c, device) == first);
    });
  });
}
