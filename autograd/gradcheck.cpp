#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/tape.h"
#include "core/random.h"

namespace pare {
namespace {

double weighted(const Tensor& y, const std::vector<double>& weights) {
  const std::vector<double> values = y.to_vector<double>();
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[i] * weights[i];
  return sum;
}

}  // namespace

void gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f,
               const std::vector<Tensor>& inputs, const GradcheckOptions& options) {
  std::vector<Tensor> grads, given;
  std::vector<double> weights;
  {
    Tape tape;
    std::vector<Tensor> watched;
    for (const Tensor& x : inputs) {
      check(x.dtype() != DType::f32, "gradcheck needs f64 inputs, got f32 {}", x.shape());
      watched.push_back(x.dtype() == DType::f64 ? tape.watch(x.clone()) : x);
      given.push_back(x.clone());
    }
    const Tensor y = f(watched);
    Rng rng(7);
    weights.resize(size_t(y.elements()));
    for (double& w : weights) w = rng.normal();
    tape.backward(y, Tensor::from(weights, y.shape()).in_format(y.format()));
    for (size_t i = 0; i < inputs.size(); ++i)
      grads.push_back(inputs[i].dtype() == DType::f64 ? tape.grad(watched[i]) : Tensor());
  }
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].dtype() != DType::f64) continue;
    const std::vector<double> analytic = grads[k].defined()
                                             ? grads[k].to_vector<double>()
                                             : std::vector<double>(size_t(inputs[k].elements()));
    const int64_t n = inputs[k].elements();
    const int64_t stride = std::max<int64_t>(1, n / options.max_elements);
    const Tensor plain = given[k].plain();
    for (int64_t i = 0; i < n; i += stride) {
      std::vector<Tensor> moved = given;
      const auto at = [&](double delta) {
        const Tensor t = plain.clone();
        t.data<double>()[i] += delta;
        moved[k] = t.in_format(given[k].format());
        return weighted(f(moved), weights);
      };
      const double h = options.step * std::max(1.0, std::abs(plain.data<double>()[i]));
      const double above = at(h), below = at(-h);
      const double numeric = (above - below) / (2 * h), found = analytic[size_t(i)];
      // Each value of f carries a rounding error of a few units in its last place.
      const double rounding = 4 * std::numeric_limits<double>::epsilon() *
                              std::max(std::abs(above), std::abs(below)) / h;
      const double allowed = options.absolute + rounding +
                             options.relative * std::max(std::abs(numeric), std::abs(found));
      check(std::abs(numeric - found) <= allowed,
            "gradcheck: input {}, element {}: backward gives {}, central differences {}", k, i,
            found, numeric);
    }
  }
}

}  // namespace pare
