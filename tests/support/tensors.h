// Tensors that tests compute with, and how near a result has to be.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"

namespace pare::testing {

// Normal numbers of mean 0 and the given deviation; one seed gives one tensor.
template <class T = float>
Tensor normals(const Shape& shape, uint64_t seed, double deviation = 1) {
  std::vector<T> values(size_t(shape.elements()));
  Rng rng(seed);
  for (T& v : values) v = T(deviation * rng.normal());
  return Tensor::from(values, shape);
}

// Float sums of at most 1600 terms a layer differ by rounding alone: a relative 1e-4 of the largest
// output covers depth * sqrt(K) * 2^-24 with room, and nothing a wrong kernel would give.
inline void check_near(const Tensor& got, const Tensor& want) {
  REQUIRE(got.shape() == want.shape());
  const auto a = got.to_vector<double>(), b = want.to_vector<double>();
  double largest = 0, off = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(b[i]));
    off = std::max(off, std::abs(a[i] - b[i]));
  }
  CHECK(off <= 1e-4 * largest);
}

}  // namespace pare::testing
