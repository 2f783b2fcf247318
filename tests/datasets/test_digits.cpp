#include <doctest/doctest.h>

#include "core/thread_pool.h"
#include "datasets/digits.h"

using namespace pare;

namespace {

uint64_t fnv(const Tensor& t) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < t.bytes(); ++i) h = (h ^ t.data<uint8_t>()[i]) * 0x100000001b3u;
  return h;
}

}  // namespace

TEST_CASE("the generated digits are the same bytes everywhere") {
  const Dataset d = make_digits();
  CHECK(d.train.size() == 60000);
  CHECK(d.test.size() == 10000);
  CHECK(fnv(d.train.images) == 13592668321737973678u);
  CHECK(fnv(d.test.images) == 12451405401998187871u);
}

TEST_CASE("an image depends on seed and index alone") {
  const Examples all = draw_digits(7, 0, 300), part = draw_digits(7, 130, 40);
  CHECK(fnv(part.images) == fnv(all.images.rows(130, 170).clone()));
  CHECK(fnv(draw_digits(8, 0, 300).images) != fnv(all.images));
  for (const int n : {1, 3}) {
    set_threads(n);
    CHECK(fnv(draw_digits(7, 0, 300).images) == fnv(all.images));
  }
  set_threads(0);
  std::vector<int> seen(10, 0);
  for (const double label : all.labels.to_vector<double>()) ++seen[size_t(label)];
  for (const int n : seen) CHECK(n == 30);
  CHECK_THROWS_AS(make_digits({.train = 0}), Error);
}
