// Op cases of dense, convolution, pooling and batch norm.
#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "tests/support/op_case_list.h"

namespace pare::testing {
namespace {

double relu_if(bool on, double x) { return on && x < 0 ? 0 : x; }

void matrix_cases(List& list) {
  struct Sizes {
    int64_t n, in, out;
  };
  for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{5, 7, 3}, Sizes{33, 65, 17}, Sizes{130, 300, 67}})
    for (const bool activation : {false, true})
      list.add(
              "dense", message("{}x{} to {}{}", s.n, s.in, s.out, activation ? ", relu" : ""),
              {noise({s.n, s.in}, 1), noise({s.out, s.in}, 2), noise({s.out}, 3)},
              [activation](const Tensors& in) {
                return Tensors{dense(in[0], in[1], in[2], activation)};
              },
              [s, activation](const Arrays& in) {
                Array y({s.n, s.out});
                for_indices(y.shape, [&](const Index& i) {
                  double sum = in[2].at({i[1]});
                  for (int64_t k = 0; k < s.in; ++k)
                    sum += in[0].at({i[0], k}) * in[1].at({i[1], k});
                  y.at(i) = relu_if(activation, sum);
                });
                return one(y);
              },
              dot_units(s.in), dot_units(std::max(s.n, s.out)))
          .smooth = s.in < 100;
}

void conv_cases(List& list) {
  struct Conv {
    Shape x;
    int64_t out, kernel;
    Conv2dOptions o;
    bool bias = true;
  };
  const Conv convs[] = {{{2, 1, 9, 8}, 6, 5, {.padding = 2}},
                        {{3, 4, 7, 6}, 6, 3, {.stride = 2, .padding = 1}},
                        {{2, 3, 7, 7}, 17, 3, {.padding = 1, .relu = true}, false},
                        {{3, 4, 7, 6}, 6, 3, {.padding = 2, .dilation = 2, .groups = 2}},
                        {{2, 6, 5, 5}, 6, 3, {.padding = 1, .groups = 6}},
                        {{1, 8, 4, 4}, 20, 1, {}},
                        {{2, 5, 5, 6}, 3, 1, {.stride = 2}},
                        {{2, 4, 8, 7}, 5, 2, {.stride = 3}},
                        {{2, 3, 9, 8}, 4, 3, {.stride = 2, .padding = 2, .dilation = 2}},
                        {{2, 3, 9, 8}, 4, 3, {.stride = 2, .padding = 3, .dilation = 3}},
                        {{2, 6, 7, 8}, 6, 3, {.stride = 2, .padding = 1, .groups = 6}},
                        {{2, 16, 6, 5}, 8, 3, {.padding = 1, .groups = 2}},
                        {{17, 16, 12, 11}, 33, 3, {.padding = 1}}};
  for (const Conv& c : convs) {
    const Shape w{c.out, c.x[1] / c.o.groups, c.kernel, c.kernel};
    Tensors inputs{noise(c.x, 4), noise(w, 5)};
    if (c.bias) inputs.push_back(noise({c.out}, 6));
    const int64_t terms = w[1] * c.kernel * c.kernel;
    const int64_t pixels = c.x[0] * c.x[2] * c.x[3];
    list.add(
            "conv2d",
            message("{} to {}, kernel {}, stride {}, groups {}", c.x, c.out, c.kernel, c.o.stride,
                    c.o.groups),
            inputs,
            [o = c.o](const Tensors& in) {
              return Tensors{conv2d(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), o)};
            },
            [c, w](const Arrays& in) {
              const auto extent = [&](int64_t size) {
                return (size + 2 * c.o.padding - c.o.dilation * (c.kernel - 1) - 1) / c.o.stride +
                       1;
              };
              Array y({c.x[0], c.out, extent(c.x[2]), extent(c.x[3])});
              const int64_t group_out = c.out / c.o.groups;
              for_indices(y.shape, [&](const Index& i) {
                double sum = c.bias ? in[2].at({i[1]}) : 0;
                for_indices({w[1], w[2], w[3]}, [&](const Index& k) {
                  const int64_t row = i[2] * c.o.stride - c.o.padding + k[1] * c.o.dilation;
                  const int64_t column = i[3] * c.o.stride - c.o.padding + k[2] * c.o.dilation;
                  if (row < 0 || row >= c.x[2] || column < 0 || column >= c.x[3]) return;
                  const int64_t channel = i[1] / group_out * w[1] + k[0];
                  sum +=
                      in[0].at({i[0], channel, row, column}) * in[1].at({i[1], k[0], k[1], k[2]});
                });
                y.at(i) = relu_if(c.o.relu, sum);
              });
              return one(y);
            },
            dot_units(terms), dot_units(std::max(pixels, c.out / c.o.groups * c.kernel * c.kernel)))
        .smooth = pixels < 1000;
  }
}

// Values of the window of output index i.
std::vector<double> window(const Array& x, const Index& i, int kernel, int stride) {
  std::vector<double> values;
  for (int64_t a = 0; a < kernel; ++a)
    for (int64_t b = 0; b < kernel; ++b)
      values.push_back(x.at({i[0], i[1], i[2] * stride + a, i[3] * stride + b}));
  return values;
}
double total(const std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum;
}

void pooling_cases(List& list) {
  struct Pool {
    Shape x;
    int kernel, stride;
  };
  for (const Pool& p :
       {Pool{{2, 3, 6, 5}, 2, 2}, Pool{{2, 3, 7, 7}, 3, 2}, Pool{{1, 1, 4, 4}, 4, 4},
        Pool{{3, 17, 9, 8}, 2, 1}, Pool{{40, 8, 24, 24}, 2, 2}}) {
    const Shape out{p.x[0], p.x[1], (p.x[2] - p.kernel) / p.stride + 1,
                    (p.x[3] - p.kernel) / p.stride + 1};
    const std::string name = message("{}, kernel {}, stride {}", p.x, p.kernel, p.stride);
    const bool smooth = p.x.elements() < 2000;
    list.add(
            "max_pool2d", name, {noise(p.x, 7)},
            [p](const Tensors& in) { return Tensors{max_pool2d(in[0], p.kernel, p.stride)}; },
            [p, out](const Arrays& in) {
              Array y(out);
              for_indices(out, [&](const Index& i) {
                const auto v = window(in[0], i, p.kernel, p.stride);
                y.at(i) = *std::max_element(v.begin(), v.end());
              });
              return one(y);
            },
            0, dot_units(p.kernel * p.kernel))
        .smooth = smooth;
    list.add(
            "avg_pool2d", name, {noise(p.x, 8)},
            [p](const Tensors& in) { return Tensors{avg_pool2d(in[0], p.kernel, p.stride)}; },
            [p, out](const Arrays& in) {
              Array y(out);
              for_indices(out, [&](const Index& i) {
                y.at(i) = total(window(in[0], i, p.kernel, p.stride)) / (p.kernel * p.kernel);
              });
              return one(y);
            },
            dot_units(p.kernel * p.kernel), dot_units(p.kernel * p.kernel))
        .smooth = smooth;
  }
  // The first of equals gets the gradient.
  Tensor steps = noise({2, 5, 7, 6}, 10);
  std::vector<double> values = steps.to_vector<double>();
  for (double& v : values) v = std::round(2 * v) / 2;
  list.add(
          "max_pool2d", "equal elements", {Tensor::from(values, steps.shape())},
          [](const Tensors& in) { return Tensors{max_pool2d(in[0], 3, 1)}; },
          [](const Arrays& in) {
            Array y({2, 5, 5, 4});
            for_indices(y.shape, [&](const Index& i) {
              const auto v = window(in[0], i, 3, 1);
              y.at(i) = *std::max_element(v.begin(), v.end());
            });
            return one(y);
          },
          0, dot_units(9))
      .smooth = false;
  for (const Shape& x : {Shape{2, 3, 5, 4}, Shape{1, 1, 1, 1}, Shape{40, 17, 8, 8}})
    list.add(
        "global_avg_pool", to_string(x), {noise(x, 9)},
        [](const Tensors& in) { return Tensors{global_avg_pool(in[0])}; },
        [x](const Arrays& in) {
          Array y({x[0], x[1]});
          for_indices(
              x, [&](const Index& i) { y.at({i[0], i[1]}) += in[0].at(i) / double(x[2] * x[3]); });
          return one(y);
        },
        double(x[2] * x[3] + 2), 4);
}

void batch_norm_cases(List& list) {
  for (const Shape& x : {Shape{6, 3}, Shape{4, 3, 2, 3}, Shape{20, 17, 9, 11}})
    for (int bits = 0; bits < 8; ++bits) {
      const bool training = bits & 1, activation = bits & 2, residual = bits & 4;
      const Shape c{x[1]};
      Tensors inputs{noise(x, 2), noise(c, 3, 0.5, 1.5), noise(c, 4)};
      if (residual) inputs.push_back(noise(x, 5));
      const int64_t count = x.elements() / x[1];
      list.add(
              "batch_norm",
              message("{}{}{}{}", x, training ? ", training" : "", activation ? ", relu" : "",
                      residual ? ", residual" : ""),
              inputs,
              [=](const Tensors& in) {
                const Tensor zero = Tensor::zeros(c, in[0].dtype(), in[0].device());
                const Tensor one = Tensor::full(c, 1, in[0].dtype(), in[0].device());
                Buffer mean(zero), variance(one);
                return Tensors{batch_norm(in[0], in[1], in[2], mean, variance,
                                          training ? Mode::train : Mode::eval, {.relu = activation},
                                          residual ? &in[3] : nullptr)};
              },
              [=](const Arrays& in) {
                Array mean(c), square(c), y(x);
                for_indices(
                    x, [&](const Index& i) { mean.at({i[1]}) += in[0].at(i) / double(count); });
                for_indices(x, [&](const Index& i) {
                  square.at({i[1]}) += std::pow(in[0].at(i) - mean.at({i[1]}), 2) / double(count);
                });
                for_indices(x, [&](const Index& i) {
                  const double m = training ? mean.at({i[1]}) : 0;
                  const double v = training ? square.at({i[1]}) : 1;
                  y.at(i) = relu_if(activation,
                                    in[1].at({i[1]}) * (in[0].at(i) - m) / std::sqrt(v + 1e-5) +
                                        in[2].at({i[1]}) + (residual ? in[3].at(i) : 0));
                });
                return one(y);
              },
              64, dot_units(count) * 4)
          .smooth = x.elements() < 2000;
    }
}

}  // namespace

void add_network_cases(List& list) {
  matrix_cases(list);
  conv_cases(list);
  pooling_cases(list);
  batch_norm_cases(list);
}

}  // namespace pare::testing
