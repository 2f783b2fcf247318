// Every op case on every CUDA device present, emulated or not: against its definition in double, in
// both formats, forward and backward. An op is a subcase: -sc='conv2d on*' runs the cases of that
// op alone.
#include <doctest/doctest.h>

#include <cstdio>
#include <map>
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

// f(case, device) for the cases that fit, one subcase an op and device.
template <class F>
void over_cases(F&& f) {
  std::map<std::string, std::vector<const OpCase*>> ops;
  for (const OpCase& c : op_cases()) ops[c.op].push_back(&c);
  for (const Device device : cuda_devices()) {
    for (const auto& [op, cases] : ops) {
      SUBCASE((op + " on " + to_string(device)).c_str()) {
        for (const OpCase* c : cases) {
          CAPTURE(c->name);
          if (fits(*c, device)) f(*c, device);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("the emulated device is there" * doctest::test_suite("emulated")) {
  CHECK_MESSAGE(probe_device(DeviceType::cuda_emulated).present,
                probe_device(DeviceType::cuda_emulated).description);
}

TEST_CASE("list: ops" * doctest::skip()) {  // for scripts/test-devices
  std::set<std::string> ops;
  for (const OpCase& c : op_cases()) ops.insert(c.op);
  for (const std::string& op : ops) std::printf("op: %s\n", op.c_str());
}

TEST_CASE("op cases agree with their definitions in double") {
  over_cases([](const OpCase& c, Device device) {
    for (const Format format : {Format::plain, Format::nhwc}) {
      if (format == Format::nhwc && c.inputs[0].rank() != 4) continue;
      CAPTURE(to_string(format));
      CHECK_NOTHROW(check_forward(c, DType::f32, format, device));
      CHECK_NOTHROW(check_forward(c, DType::f64, format, device));
      CHECK_NOTHROW(check_gradients(c, format, device));
    }
  });
}

TEST_CASE("outputs and gradients have the same bits every time") {
  over_cases([](const OpCase& c, Device device) {
    const std::vector<float> first = outputs_and_gradients(c, device);
    CHECK(outputs_and_gradients(c, device) == first);
  });
}
