// The precision of products: who sets it, and what dense and conv2d make of it on devices with
// tensor cores (the emulation has them).
#include <doctest/doctest.h>

#include <cmath>
#include <thread>

#include "core/backend.h"
#include "tests/cuda/devices.h"
#include "tests/support/op_case_list.h"

using namespace pare;
using namespace pare::testing;

namespace {

// Half the distance of neighbours at 1, in units of 2^-24.
double rounding_units(Precision precision) {
  return precision == Precision::tf32 ? 0x1p13 : 0x1p16;
}

bool is_product(const OpCase& c) {
  const bool depthwise =
      c.op == "conv2d" && c.inputs[1].size(1) == 1 && c.inputs[0].size(1) == c.inputs[1].size(0);
  return (c.op == "dense" || c.op == "conv2d") && !depthwise;
}

// f(case, device, precision, number of terms of an output, of a gradient) where products round.
template <class F>
void for_products(F&& f) {
  for (const Device device : cuda_devices())
    for (const Precision precision : precisions_of(device))
      for (const OpCase& c : op_cases()) {
        if (precision == Precision::fp32 || !is_product(c)) continue;
        CAPTURE(to_string(device));
        CAPTURE(to_string(precision));
        CAPTURE(c.op);
        CAPTURE(c.name);
        f(c, device, precision, std::sqrt(c.forward_units), std::sqrt(c.gradient_units));
      }
}

}  // namespace

TEST_CASE("the innermost scope of a thread sets the precision") {
  CHECK(current_precision() == Precision::fp32);
  {
    const PrecisionScope outer(Precision::tf32);
    {
      const PrecisionScope inner(Precision::bf16);
      CHECK(current_precision() == Precision::bf16);
      std::thread([] { CHECK(current_precision() == Precision::fp32); }).join();
    }
    CHECK(current_precision() == Precision::tf32);
  }
  CHECK(current_precision() == Precision::fp32);
  for (const Precision p : {Precision::fp32, Precision::tf32, Precision::bf16})
    CHECK(precision_named(to_string(p)) == p);
  CHECK_THROWS_WITH_AS(precision_named("bf17"), doctest::Contains("bf16"), Error);
}

TEST_CASE("tensor cores multiply rounded factors exactly and add in float") {
  for_products([](OpCase c, Device device, Precision precision, double, double gradient_terms) {
    for (Tensor& x : c.inputs) x = rounded(x, precision);
    const PrecisionScope scope(precision);
    CHECK_NOTHROW(check_forward(c, DType::f32, Format::plain, device));
    // The output's gradients are not rounded beforehand.
    c.gradient_units += gradient_terms * rounding_units(precision);
    CHECK_NOTHROW(check_gradients(c, Format::plain, device));
  });
}

TEST_CASE("other factors are rounded, within the bound of that, and only where it was asked for") {
  for_products([](const OpCase& exact, Device device, Precision precision, double terms, double) {
    CHECK_NOTHROW(check_forward(exact, DType::f32, Format::plain, device));
    OpCase c = exact;
    c.forward_units += 2 * terms * rounding_units(precision);
    const PrecisionScope scope(precision);
    CHECK_NOTHROW(check_forward(c, DType::f32, Format::plain, device));
    // A library is allowed to round; it need not.
    const bool rounds = c.op == "conv2d" || !vendor_products(device);
    if (rounds && terms > 40 && terms < 200)
      CHECK_THROWS_AS(check_forward(exact, DType::f32, Format::plain, device), Error);
    CHECK_NOTHROW(check_forward(exact, DType::f64, Format::plain, device));
    CHECK_NOTHROW(check_forward(exact, DType::f32));  // on the CPU nothing changes
  });
}

TEST_CASE("a GPU without tensor cores multiplies as it is told to in fp32") {
  for (const Device device : cuda_devices()) {
    if (has_tensor_cores(device)) continue;
    const PrecisionScope scope(Precision::bf16);
    for (const OpCase& c : op_cases())
      if (is_product(c)) CHECK_NOTHROW(check_forward(c, DType::f32, Format::plain, device));
  }
}
