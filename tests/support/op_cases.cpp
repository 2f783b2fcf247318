#include "core/random.h"
#include "tests/support/op_case_list.h"

namespace pare::testing {

Tensor noise(const Shape& shape, uint64_t key, double low, double high) {
  Rng rng(key);
  std::vector<double> v(size_t(shape.elements()));
  for (double& x : v) x = double(float(low + (high - low) * double(rng.uniform())));
  return Tensor::from(v, shape);
}

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    List list;
    add_elementwise_cases(list);
    add_network_cases(list);
    add_moving_cases(list);
    return std::move(list.cases);
  }();
  return cases;
}

}  // namespace pare::testing
