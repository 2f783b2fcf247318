// Op cases: one description per op and situation, from which every device is tested: forward
// against a plain definition in double written apart from the library, gradients in double against
// central differences, float gradients against double ones, storage formats, instruction sets and
// thread counts.
//
// To test a new op, add its cases in op_cases.cpp; a test fails while an op has none.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace pare::testing {

using Index = std::vector<int64_t>;

// A plain array in C order, for definitions.
struct Array {
  Shape shape;
  std::vector<double> v;

  explicit Array(const Shape& s) : shape(s), v(size_t(s.elements())) {}
  double& at(const Index& index) { return v[offset(index)]; }
  double at(const Index& index) const { return v[offset(index)]; }
  size_t offset(const Index& index) const;
};
// Calls f(index) for every index of a shape, in C order.
void for_indices(const Shape& shape, const std::function<void(const Index&)>& f);

using Tensors = std::vector<Tensor>;
using Arrays = std::vector<Array>;

struct OpCase {
  std::string op;    // the registered name that this covers
  std::string name;  // the situation
  Tensors inputs;    // f64, each value a float, in [-1, 1] unless the case says otherwise; or i32
  std::function<Tensors(const Tensors&)> run;  // the public function
  std::function<Arrays(const Arrays&)> plain;  // its definition
  // Bounds on the errors of one output and of one gradient element, in units of 2^-24 for f32 and
  // 2^-53 for f64, with output gradients in [-1, 1].
  double forward_units = 1, gradient_units = 1;
  bool smooth = true;  // small enough, and differentiable enough, for central differences
};

const std::vector<OpCase>& op_cases();

// One float type on one device and format: throws Error naming the case, the output, the element,
// what was found and expected.
void check_forward(const OpCase& c, DType dtype, Format format = Format::plain, Device device = {});
// Gradients in float on `device` against those in double on the CPU.
void check_gradients(const OpCase& c, Format format = Format::plain, Device device = {});
// Outputs and float gradients, one after another: what must have the same bits.
std::vector<float> outputs_and_gradients(const OpCase& c, Device device = {});

}  // namespace pare::testing
