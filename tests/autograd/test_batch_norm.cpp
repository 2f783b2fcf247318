#include <doctest/doctest.h>

#include <cmath>

#include "autograd/ops.h"
#include "core/random.h"
#include "core/thread_pool.h"

using namespace pare;

namespace {

Tensor noise(const Shape& shape, uint64_t key) {
  Rng rng(key);
  std::vector<double> v(size_t(shape.elements()));
  for (double& x : v) x = rng.normal() + 0.3;
  return Tensor::from(v, shape);
}

struct Statistics {
  Buffer mean{Tensor::zeros({3}, DType::f64)}, variance{Tensor::full({3}, 1, DType::f64)};
};

}  // namespace

TEST_CASE("batch_norm normalizes, moves the running statistics, and uses them in evaluation") {
  const Tensor x = noise({5, 3, 4, 2}, 1);
  const Tensor gamma = Tensor::from(std::vector<double>{1, 2, -1}, {3});
  const Tensor beta = Tensor::from(std::vector<double>{0, 0.5, 1}, {3});
  Statistics s;
  const auto got = batch_norm(x, gamma, beta, s.mean, s.variance, Mode::train).to_vector<double>();
  const auto in = x.to_vector<double>();
  for (int c = 0; c < 3; ++c) {
    double mean = 0, squares = 0;
    for (int i = 0; i < 40; ++i) mean += in[size_t(i / 8 * 24 + c * 8 + i % 8)] / 40;
    for (int i = 0; i < 40; ++i)
      squares += std::pow(in[size_t(i / 8 * 24 + c * 8 + i % 8)] - mean, 2);
    const double g = gamma.data<double>()[c], b = beta.data<double>()[c];
    for (int i = 0; i < 40; ++i) {
      const size_t at = size_t(i / 8 * 24 + c * 8 + i % 8);
      CHECK(got[at] == doctest::Approx(g * (in[at] - mean) / std::sqrt(squares / 40 + 1e-5) + b));
    }
    CHECK(s.mean.value().data<double>()[c] == doctest::Approx(0.1 * mean));
    CHECK(s.variance.value().data<double>()[c] == doctest::Approx(0.9 + 0.1 * squares / 39));
  }
  const auto before = s.mean.value().to_vector<double>();
  const auto eval = batch_norm(x, gamma, beta, s.mean, s.variance, Mode::eval).to_vector<double>();
  CHECK(s.mean.value().to_vector<double>() == before);
  CHECK(eval[0] == doctest::Approx((in[0] - before[0]) /
                                   std::sqrt(s.variance.value().data<double>()[0] + 1e-5)));
}

TEST_CASE("batch_norm gives the same bits for any number of threads and refuses a single value") {
  const Tensor x = noise({40, 3, 9, 11}, 6).to(DType::f32);
  const Tensor gamma = Tensor::full({3}, 1.5), beta = Tensor::full({3}, 0.1);
  std::vector<float> first;
  for (const int n : {1, 2, 3, 8}) {
    set_threads(n);
    Buffer mean(Tensor::zeros({3})), variance(Tensor::full({3}, 1));
    const auto y = batch_norm(x, gamma, beta, mean, variance, Mode::train).to_vector<float>();
    if (first.empty()) first = y;
    CHECK(y == first);
  }
  set_threads(0);
  Statistics s;
  CHECK_THROWS_WITH_AS(
      batch_norm(noise({1, 3}, 1), noise({3}, 2), noise({3}, 3), s.mean, s.variance, Mode::train),
      doctest::Contains("no variance"), Error);
}
