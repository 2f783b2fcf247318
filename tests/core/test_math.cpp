// The elementary functions at their edges and over their whole range, against the C library.
#include "core/math.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace pare;

namespace {

// Error of `got` in units in the last place of `want`.
template <class T>
double ulps(T got, long double want) {
  const int mantissa = std::numeric_limits<T>::digits;
  const long double unit = std::ldexp(1.0L, std::ilogb(want) - mantissa + 1);
  return double(std::fabs((long double)(got)-want) / unit);
}

template <class T>
void edges() {
  using L = std::numeric_limits<T>;
  const T inf = L::infinity();
  const T highest = std::log(L::max()), lowest = std::log(L::min());
  CHECK(math::exp(inf) == inf);
  CHECK(math::exp(T(100) * highest) == inf);
  CHECK(math::exp(highest * T(1.0001)) == inf);
  CHECK(math::exp(-inf) == 0);
  CHECK(math::exp(lowest * T(1.0001)) == 0);  // what would be denormal is zero
  CHECK(std::isnan(math::exp(L::quiet_NaN())));
  CHECK(math::exp(T(0)) == 1);
  CHECK(math::log(inf) == inf);
  CHECK(math::log(T(0)) == -inf);
  CHECK(math::log(-T(0)) == -inf);
  CHECK(math::log(L::denorm_min()) == -inf);  // denormals count as zero
  CHECK(std::isnan(math::log(T(-1))));
  CHECK(std::isnan(math::log(L::quiet_NaN())));
  CHECK(math::log(T(1)) == 0);
  CHECK(math::tanh(inf) == 1);
  CHECK(math::tanh(-inf) == -1);
  CHECK(std::isnan(math::tanh(L::quiet_NaN())));
  CHECK(math::sigmoid(-inf) == 0);
  CHECK(math::sigmoid(inf) == 1);
  for (int i = 0; i <= 20000; ++i) {
    const T x = T(0.99999) * (lowest + T(i) / T(20000) * (highest - lowest));
    REQUIRE(ulps(math::exp(x), std::exp((long double)(x))) < 4);
    const T y = std::exp(x);  // every magnitude
    REQUIRE(ulps(math::log(y), std::log((long double)(y))) < 4);
    const T t = T(30) / y > T(1e-30) ? T(30) / y : T(1e-30);
    REQUIRE(ulps(math::tanh(t), std::tanh((long double)(t))) < 4);
    REQUIRE(math::tanh(-t) == -math::tanh(t));
  }
}

}  // namespace

TEST_CASE("exp, log and tanh hold a few units in the last place from end to end") {
  edges<float>();
  edges<double>();
}

TEST_CASE("the cosine of a turn") {
  for (int i = 0; i <= 4096; ++i) {
    const double t = double(i) / 4096;
    CHECK(std::fabs(math::cos_turns(t) - std::cos(2 * std::acos(-1.0L) * (long double)(t))) <
          4e-16);
  }
  CHECK(math::cos_turns(0.0) == 1);
  CHECK(math::cos_turns(0.25) == 0);
  CHECK(math::cos_turns(0.5) == -1);
}
