// Op cases of what moves, masks or drops elements.
#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "autograd/run.h"
#include "autograd/tape.h"
#include "core/random.h"
#include "tests/support/op_case_list.h"

namespace pare::testing {
namespace {

// Ops that only move elements: exact, with y(i) = x(where(i)), or `fill` where that is nowhere.
void moving(List& list, const char* op, const std::string& name, const Shape& x, const Shape& y,
            std::function<Tensor(const Tensor&)> run, std::function<Index(const Index&)> where,
            double fill = 0) {
  list.add(
          op, name, {noise(x, 12)}, [run](const Tensors& in) { return Tensors{run(in[0])}; },
          [=](const Arrays& in) {
            Array out(y);
            for_indices(y, [&](const Index& i) {
              const Index from = where(i);
              bool inside = true;
              for (size_t axis = 0; axis < from.size(); ++axis)
                inside = inside && from[axis] >= 0 && from[axis] < x[int(axis)];
              out.at(i) = inside ? in[0].at(from) : fill;
            });
            return one(out);
          },
          0, 0)
      .smooth = x.elements() < 5000;
}

void moving_cases(List& list) {
  moving(
      list, "slice", "channels and steps", {2, 3, 5, 7}, {2, 2, 3, 2},
      [](const Tensor& x) {
        return slice(x, {0, 1, 0, 1}, {slice_to_end, 3, slice_to_end, 6}, {1, 1, 2, 3});
      },
      [](const Index& i) { return Index{i[0], i[1] + 1, 2 * i[2], 1 + 3 * i[3]}; });
  moving(
      list, "slice", "a long row", {70003}, {35001},
      [](const Tensor& x) { return slice(x, {1}, {70003}, {2}); },
      [](const Index& i) { return Index{1 + 2 * i[0]}; });
  moving(
      list, "pad", "every axis", {2, 3, 5, 7}, {3, 5, 6, 10},
      [](const Tensor& x) { return pad(x, {0, 2, 1, 0}, {1, 0, 0, 3}, 0.5); },
      [](const Index& i) { return Index{i[0], i[1] - 2, i[2] - 1, i[3]}; }, 0.5);
  moving(
      list, "pad", "a long row", {70003}, {70008}, [](const Tensor& x) { return pad(x, {2}, {3}); },
      [](const Index& i) { return Index{i[0] - 2}; });
  moving(
      list, "transpose", "three axes", {2, 3, 4}, {4, 2, 3},
      [](const Tensor& x) { return transpose(x, {2, 0, 1}); },
      [](const Index& i) { return Index{i[1], i[2], i[0]}; });
  moving(
      list, "transpose", "a matrix", {257, 130}, {130, 257},
      [](const Tensor& x) { return transpose(x, {1, 0}); },
      [](const Index& i) { return Index{i[1], i[0]}; });
  moving(
      list, "transpose", "four axes", {2, 3, 2, 4}, {3, 2, 4, 2},
      [](const Tensor& x) { return transpose(x, {1, 0, 3, 2}); },
      [](const Index& i) { return Index{i[1], i[0], i[3], i[2]}; });
  moving(
      list, "reshape", "images to rows", {3, 2, 4, 5}, {3, 40},
      [](const Tensor& x) { return flatten(x); },
      [](const Index& i) { return Index{i[0], i[1] / 20, i[1] / 5 % 4, i[1] % 5}; });

  list.add(
      "masked", "two in three", {noise({5, 7, 3}, 13)},
      [](const Tensors& in) {
        const Tensor mask = Tensor::full({5, 7, 3}, 1, DType::u8);
        for (int64_t i = 0; i < mask.elements(); i += 3) mask.data<uint8_t>()[i] = 0;
        return Tensors{masked(in[0], mask.to(in[0].device()))};
      },
      [](const Arrays& in) {
        Array y = in[0];
        for (size_t i = 0; i < y.v.size(); i += 3) y.v[i] = 0;
        return one(y);
      },
      0, 0);

  for (const int axis : {0, 1, -1}) {
    Shape a{2, 3, 4, 5}, b{2, 3, 4, 5};
    b.set(axis, 3);
    Shape out = a;
    out.set(axis, a[axis] + 3);
    const size_t at = size_t(axis < 0 ? axis + 4 : axis);
    list.add(
        "concat", message("axis {}", axis), {noise(a, 14), noise(b, 15)},
        [axis](const Tensors& in) { return Tensors{concat({in[0], in[1]}, axis)}; },
        [=](const Arrays& in) {
          Array y(out);
          for_indices(out, [&](Index i) {
            double& to = y.at(i);
            const bool second = i[at] >= a[axis];
            if (second) i[at] -= a[axis];
            to = in[second].at(i);
          });
          return one(y);
        },
        0, 0);
    list.add(
        "split", message("axis {}", axis), {noise(out, 16)},
        [=](const Tensors& in) { return split(in[0], axis, {a[axis], 3}); },
        [=](const Arrays& in) {
          Array first(a), second(b);
          for_indices(a, [&](const Index& i) { first.at(i) = in[0].at(i); });
          for_indices(b, [&](Index i) {
            double& to = second.at(i);
            i[at] += a[axis];
            to = in[0].at(i);
          });
          return Arrays{first, second};
        },
        0, 0);
  }
}

void dropout_cases(List& list) {
  for (const Shape& shape : {Shape{3, 5}, Shape{2, 3, 5, 7}, Shape{20001}})
    list.add(
            "dropout", to_string(shape), {noise(shape, 17)},
            [](const Tensors& in) {
              const RunKeyScope scope({.seed = 3, .step = 5});
              restart_node_names();
              return Tensors{dropout(in[0], 0.25, Mode::train)};
            },
            [](const Arrays& in) {
              const uint64_t key = mix_keys(mix_keys(3, 5), hash_name("dropout"));
              Array y = in[0];
              for (size_t i = 0; i < y.v.size(); ++i)
                y.v[i] = philox(key, i / 4)[i % 4] >= 0x40000000u ? y.v[i] / 0.75 : 0;
              return one(y);
            },
            4, 4)
        .smooth = shape.elements() < 1000;
}

}  // namespace

void add_moving_cases(List& list) {
  moving_cases(list);
  dropout_cases(list);
}

}  // namespace pare::testing
