#include <doctest/doctest.h>

#include <cmath>

#include "autograd/gradcheck.h"
#include "autograd/tape.h"
#include "compress/distill/soft_target_loss.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

std::vector<double> softmax(const std::vector<double>& x, double t) {
  std::vector<double> p;
  double sum = 0;
  for (const double v : x) sum += std::exp(v / t);
  for (const double v : x) p.push_back(std::exp(v / t) / sum);
  return p;
}

}  // namespace

TEST_CASE("the soft-target loss is T^2 KL, summed over classes, mean over the batch") {
  const Tensor s = normals<double>({3, 5}, 1), t = normals<double>({3, 5}, 2, 3);
  for (const double temperature : {1.0, 4.0, 20.0}) {
    double expected = 0;
    for (int64_t i = 0; i < 3; ++i) {
      const auto q = softmax(s.rows(i, i + 1).to_vector<double>(), temperature);
      const auto p = softmax(t.rows(i, i + 1).to_vector<double>(), temperature);
      for (size_t c = 0; c < 5; ++c) expected += p[c] * std::log(p[c] / q[c]);
    }
    expected *= temperature * temperature / 3;
    CHECK(soft_target_loss(s, t, temperature).item() == doctest::Approx(expected).epsilon(1e-12));
  }
  CHECK(soft_target_loss(s, s, 2.0).item() == 0);
}

TEST_CASE("its gradient is right, and tends to (s - t) / classes / batch as T grows") {
  const Tensor t = normals<double>({4, 6}, 3);
  gradcheck([&](const std::vector<Tensor>& x) { return soft_target_loss(x[0], t, 3.0); },
            {normals<double>({4, 6}, 4)});
  const Tensor zero_mean = Tensor::from<double>({1, -1, 2, -2}, {1, 4});
  const Tensor student = Tensor::from<double>({0.5, -0.5, 0, 0}, {1, 4});
  Tape tape;
  const Tensor s = tape.watch(student);
  tape.backward(soft_target_loss(s, zero_mean, 1e4));
  for (int i = 0; i < 4; ++i)
    CHECK(tape.grad(s).data<double>()[i] ==
          doctest::Approx((student.data<double>()[i] - zero_mean.data<double>()[i]) / 4)
              .epsilon(1e-3));
}

TEST_CASE("teacher and student must agree, and the temperature be positive") {
  CHECK_THROWS_WITH_AS(soft_target_loss(normals<double>({2, 3}, 1), normals<double>({2, 4}, 1), 1),
                       doctest::Contains("teacher f64 2x4"), Error);
  CHECK_THROWS_WITH_AS(soft_target_loss(normals<double>({2, 3}, 1), normals<double>({2, 3}, 1), 0),
                       doctest::Contains("temperature"), Error);
}
