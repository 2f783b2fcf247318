#include <doctest/doctest.h>

#include "autograd/gradcheck.h"
#include "autograd/ops.h"
#include "autograd/tape.h"
#include "tests/support/tensors.h"

using namespace pare;
using namespace pare::testing;

namespace {

// Element of a plain copy.
double at(const Tensor& t, int64_t n, int64_t c, int64_t h, int64_t w) {
  const Tensor p = t.plain();
  return p.data<double>()[((n * p.size(1) + c) * p.size(2) + h) * p.size(3) + w];
}

}  // namespace

TEST_CASE("slice and pad move the right elements, in both formats, and have gradients") {
  const Tensor x = normals<double>({2, 3, 5, 7}, 1);
  for (const Format format : {Format::plain, Format::nhwc}) {
    const Tensor in = x.in_format(format);
    const Tensor y = slice(in, {0, 1, 0, 1}, {slice_to_end, 3, slice_to_end, 6}, {1, 1, 2, 3});
    CHECK(y.format() == format);
    CHECK(y.shape() == Shape{2, 2, 3, 2});
    const Tensor z = pad(in, {0, 2, 1, 0}, {1, 0, 0, 3}, 0.5);
    CHECK(z.format() == format);
    CHECK(z.shape() == Shape{3, 5, 6, 10});
    for (int64_t n = 0; n < 2; ++n)
      for (int64_t c = 0; c < 2; ++c)
        for (int64_t h = 0; h < 3; ++h)
          for (int64_t w = 0; w < 2; ++w)
            CHECK(at(y, n, c, h, w) == at(x, n, c + 1, 2 * h, 1 + 3 * w));
    for (int64_t c = 0; c < 5; ++c)
      for (int64_t h = 0; h < 6; ++h)
        for (int64_t w = 0; w < 10; ++w)
          CHECK(at(z, 1, c, h, w) == (c >= 2 && h >= 1 && w < 7 ? at(x, 1, c - 2, h - 1, w) : 0.5));
    CHECK(at(z, 2, 3, 3, 3) == 0.5);
    gradcheck(
        [&](const std::vector<Tensor>& v) {
          return slice(v[0].in_format(format), {1, 0, 1, 0}, {2, 3, 5, 7}, {1, 2, 1, 2});
        },
        {x});
    gradcheck(
        [&](const std::vector<Tensor>& v) {
          return pad(v[0].in_format(format), {1, 0, 2, 0}, {0, 1, 0, 2});
        },
        {x});
  }
  const Tensor row = normals<double>({6}, 2);
  CHECK(slice(row, {1}, {6}, {2}).to_vector<double>() ==
        std::vector<double>{row.data<double>()[1], row.data<double>()[3], row.data<double>()[5]});
  gradcheck([](const std::vector<Tensor>& v) { return slice(v[0], {1}, {6}, {2}); }, {row});
  CHECK_THROWS_AS(slice(row, {4}, {2}, {1}), Error);
  CHECK_THROWS_AS(slice(row, {0, 0}, {1, 1}, {1, 1}), Error);
  CHECK_THROWS_AS(slice(row, {0}, {6}, {0}), Error);
  CHECK_THROWS_AS(pad(row, {-1}, {0}), Error);
}

TEST_CASE("concat and split undo each other along every axis, and have gradients") {
  const Tensor x = normals<double>({4, 3, 2, 5}, 3);
  for (const Format format : {Format::plain, Format::nhwc})
    for (int axis = 0; axis < 4; ++axis) {
      CAPTURE(axis);
      const Ints sizes = x.size(axis) == 2 ? Ints{1, 1} : Ints{1, x.size(axis) - 1};
      const auto parts = split(x.in_format(format), axis, sizes);
      REQUIRE(parts.size() == 2);
      CHECK(parts[1].size(axis) == sizes[1]);
      const Tensor whole = concat(parts, axis);
      CHECK(whole.format() == format);
      CHECK(whole.to_vector<double>() == x.to_vector<double>());
      gradcheck(
          [&](const std::vector<Tensor>& v) {
            const auto p = split(v[0].in_format(format), axis, sizes);
            return concat({square(p[1]), p[0], p[1]}, axis);
          },
          {x});
    }
  gradcheck([](const std::vector<Tensor>& v) { return split(v[0], 1, {1, 2})[1]; },
            {normals<double>({2, 3}, 4)});
  CHECK(concat({normals<double>({2, 3}, 1), normals<double>({2, 1}, 2)}, -1).shape() ==
        Shape{2, 4});
  CHECK_THROWS_WITH_AS(concat({normals<double>({2, 3}, 1), normals<double>({3, 3}, 2)}, 1),
                       doctest::Contains("part 1"), Error);
  CHECK_THROWS_WITH_AS(split(x, 0, {1, 2}), doctest::Contains("sum to 3"), Error);
  CHECK_THROWS_AS(concat({x}, 7), Error);
}

TEST_CASE("average pooling, whole and windowed") {
  const Tensor x = normals<double>({2, 3, 6, 5}, 5);
  const Tensor y = avg_pool2d(x, 2), z = global_avg_pool(x);
  CHECK(y.shape() == Shape{2, 3, 3, 2});
  double all = 0;
  for (int64_t h = 0; h < 6; ++h)
    for (int64_t w = 0; w < 5; ++w) all += at(x, 1, 2, h, w);
  CHECK(z.data<double>()[5] == doctest::Approx(all / 30));
  CHECK(at(y, 1, 2, 1, 1) ==
        doctest::Approx(
            (at(x, 1, 2, 2, 2) + at(x, 1, 2, 2, 3) + at(x, 1, 2, 3, 2) + at(x, 1, 2, 3, 3)) / 4));
  gradcheck([](const std::vector<Tensor>& v) { return avg_pool2d(v[0], 3, 2); }, {x});
  gradcheck([](const std::vector<Tensor>& v) { return global_avg_pool(v[0]); }, {x});
  CHECK_THROWS_AS(avg_pool2d(x, 7), Error);
  CHECK_THROWS_AS(global_avg_pool(normals<double>({2, 3}, 1)), Error);
}

TEST_CASE("add passes its gradient to both sides, one tensor twice as well") {
  gradcheck([](const std::vector<Tensor>& v) { return add(square(v[0]), v[1]); },
            {normals<double>({3, 4}, 1), normals<double>({3, 4}, 2)});
  gradcheck([](const std::vector<Tensor>& v) { return add(v[0], v[0]); },
            {normals<double>({5}, 1)});
  CHECK_THROWS_AS(add(normals<double>({2}, 1), normals<double>({3}, 1)), Error);
}

TEST_CASE("a convolution without bias") {
  gradcheck(
      [](const std::vector<Tensor>& v) { return conv2d(v[0], v[1], Tensor(), {.padding = 1}); },
      {normals<double>({2, 3, 4, 5}, 1), normals<double>({4, 3, 3, 3}, 2)});
}
