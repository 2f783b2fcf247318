// Every op case on the CPU: instruction sets, element types, formats, gradients and threads.
#include <doctest/doctest.h>

#include <set>

#include "autograd/gradcheck.h"
#include "autograd/op.h"
#include "core/cpu/isa.h"
#include "core/thread_pool.h"
#include "tests/support/isas.h"
#include "tests/support/op_cases.h"

using namespace pare;
using namespace pare::testing;

namespace {

bool has_images(const OpCase& c) { return c.inputs[0].rank() == 4; }

// Runs f for every case on every instruction set present.
void cases_on_every_isa(void (*f)(const OpCase&)) {
  on_every_isa([f] {
    for (const OpCase& c : op_cases()) CHECK_NOTHROW(f(c));
  });
}

}  // namespace

TEST_CASE("every op has a case") {
  std::set<std::string> covered;
  for (const OpCase& c : op_cases()) covered.insert(c.op);
  // Ops that tests of this program register for themselves.
  for (const char* own : {"wrong_square", "sign_split"}) covered.insert(own);
  // Ops that round have no double definition to be near to: tests/compress holds their bits.
  for (const char* rounds : {"fake_quant", "fake_quant_weight", "fake_quant_dense", "quantize",
                             "dequantize", "int8_dense"})
    covered.insert(rounds);
  for (const Op* op : registered_ops()) {
    if (std::string_view(op->name).starts_with("test_")) continue;
    CHECK_MESSAGE(covered.contains(op->name), "no case for ", std::string(op->name));
  }
}

TEST_CASE("forward equals its definition in double, in every type and format") {
  cases_on_every_isa([](const OpCase& c) {
    for (const DType dtype : {DType::f32, DType::f64}) {
      check_forward(c, dtype);
      if (has_images(c)) check_forward(c, dtype, Format::nhwc);
    }
  });
}

TEST_CASE("float gradients equal double ones") {
  cases_on_every_isa([](const OpCase& c) {
    check_gradients(c);
    if (has_images(c)) check_gradients(c, Format::nhwc);
  });
}

TEST_CASE("double gradients agree with central differences") {
  for (const OpCase& c : op_cases()) {
    if (!c.smooth) continue;
    CAPTURE(c.op);
    CAPTURE(c.name);
    for (size_t output = 0; output < c.run(c.inputs).size(); ++output)
      for (const Format format : {Format::plain, Format::nhwc}) {
        if (format == Format::nhwc && !has_images(c)) continue;
        Tensors inputs = c.inputs;
        for (Tensor& x : inputs)
          if (x.rank() == 4) x = x.in_format(format);
        CHECK_NOTHROW(gradcheck([&](const Tensors& in) { return c.run(in)[output]; }, inputs,
                                {.absolute = 1e-8, .max_elements = 24}));
      }
  }
}

TEST_CASE("outputs and gradients have the same bits for any number of threads") {
  for (const OpCase& c : op_cases()) {
    CAPTURE(c.op);
    CAPTURE(c.name);
    std::vector<float> first;
    for (const int n : {1, 2, 3, 8}) {
      set_threads(n);
      const std::vector<float> now = outputs_and_gradients(c);
      if (first.empty()) first = now;
      CHECK(now == first);
    }
  }
  set_threads(0);
}

TEST_CASE("the checks notice errors just above their bounds") {
  OpCase c = op_cases().front();
  CHECK(c.op == "neg");
  c.plain = [](const Arrays& in) {
    Arrays out = in;
    for (double& v : out[0].v) v = -v * (1 + 0x1p-21);
    return out;
  };
  CHECK_THROWS_WITH_AS(check_forward(c, DType::f32), doctest::Contains("neg (1): output 0"), Error);
  CHECK_THROWS_AS(check_forward(c, DType::f64), Error);
}
