// Every op case on every CUDA device present, emulated or not: against its definition in double, in
// both formats, forward and backward. Ops that have no kernel there yet are listed.
#include <doctest/doctest.h>

#include <set>

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
  for (const Device device : cuda_devices()) {
    std::set<std::string> missing;
    for (const OpCase& c : op_cases()) {
      if (!fits(c, device)) continue;
      CAPTURE(c.op);
      CAPTURE(c.name);
      for (const Format format : {Format::plain, Format::nhwc}) {
        if (format == Format::nhwc && c.inputs[0].rank() != 4) continue;
        if (!runs([&] { check_forward(c, DType::f32, format, device); })) {
          missing.insert(c.op + ".forward");
          continue;
        }
        runs([&] { check_forward(c, DType::f64, format, device); });
        if (!runs([&] { check_gradients(c, format, device); })) missing.insert(c.op + ".backward");
      }
    }
    std::string list;
    for (const std::string& name : missing) list += " " + name;
    MESSAGE(to_string(device), " lacks:", list);
  }
}

TEST_CASE("outputs and gradients have the same bits every time") {
  for (const Device device : cuda_devices())
    for (const OpCase& c : op_cases()) {
      if (!fits(c, device)) continue;
      CAPTURE(c.op);
      CAPTURE(c.name);
      runs([&] {
        const std::vector<float> first = outputs_and_gradients(c, device);
        CHECK(outputs_and_gradients(c, device) == first);
      });
    }
}
