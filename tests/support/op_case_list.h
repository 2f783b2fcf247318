// What the files of op cases share: values, bounds and the list that each adds to.
#pragma once

#include "tests/support/op_cases.h"

namespace pare::testing {

// Values that a float holds exactly, so that every element type starts from the same numbers.
Tensor noise(const Shape& shape, uint64_t key, double low = -1, double high = 1);

// k products of numbers in [-1, 1] and a few further terms, summed in any order: Higham, "Accuracy
// and Stability of Numerical Algorithms", eq. 3.5, with the sum of magnitudes bounded by k + 2.
inline double dot_units(int64_t k) { return double((k + 2) * (k + 2)); }

inline Arrays one(Array y) { return {std::move(y)}; }
inline Array map(const Array& x, const std::function<double(double)>& f) {
  Array y(x.shape);
  for (size_t i = 0; i < x.v.size(); ++i) y.v[i] = f(x.v[i]);
  return y;
}

class List {
 public:
  std::vector<OpCase> cases;
  OpCase& add(const std::string& op, const std::string& name, Tensors inputs,
              std::function<Tensors(const Tensors&)> run,
              std::function<Arrays(const Arrays&)> plain, double forward, double gradient) {
    cases.push_back(
        {op, name, std::move(inputs), std::move(run), std::move(plain), forward, gradient, true});
    return cases.back();
  }
};

void add_elementwise_cases(List& list);
void add_network_cases(List& list);
void add_moving_cases(List& list);

}  // namespace pare::testing
