// Op cases of pointwise functions, arithmetic, reductions, softmax and losses.
#include <algorithm>
#include <cmath>

#include "autograd/ops.h"
#include "compress/distill/soft_target_loss.h"
#include "tests/support/op_case_list.h"

namespace pare::testing {
namespace {

void pointwise_cases(List& list) {
  struct Function {
    const char* op;
    Tensor (*run)(const Tensor&);
    double (*plain)(double);
    double low, high, units;  // errors of a few units in the last place of results this large
  };
  const Function functions[] = {
      {"neg", neg, [](double x) { return -x; }, -2, 2, 1},
      {"exp", pare::exp, [](double x) { return std::exp(x); }, -3, 3, 100},
      {"log", pare::log, [](double x) { return std::log(x); }, 0.1, 4, 60},
      {"sqrt", pare::sqrt, [](double x) { return std::sqrt(x); }, 0.1, 4, 16},
      {"square", square, [](double x) { return x * x; }, -2, 2, 8},
      {"abs", pare::abs, [](double x) { return std::fabs(x); }, -2, 2, 1},
      {"relu", relu, [](double x) { return x > 0 ? x : 0; }, -2, 2, 1},
      {"leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.125); },
       [](double x) { return x > 0 ? x : 0.125 * x; }, -2, 2, 4},
      {"sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -9, 9, 8},
      {"tanh", pare::tanh, [](double x) { return std::tanh(x); }, -5, 5, 8},
      {"gelu", gelu,
       [](double x) {
         return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1)) * (x + 0.044715 * x * x * x)));
       },
       -4, 4, 100},
      {"silu", silu, [](double x) { return x / (1 + std::exp(-x)); }, -5, 5, 60},
      {"clamp", [](const Tensor& x) { return clamp(x, -0.75, 0.5); },
       [](double x) { return std::min(0.5, std::max(-0.75, x)); }, -2, 2, 1},
      {"add_scalar", [](const Tensor& x) { return add_scalar(x, 1.75); },
       [](double x) { return x + 1.75; }, -2, 2, 4},
      {"mul_scalar", [](const Tensor& x) { return mul_scalar(x, 1.75); },
       [](double x) { return x * 1.75; }, -2, 2, 4}};
  for (const Function& f : functions)
    for (const Shape& shape : {Shape{1}, Shape{3, 17}, Shape{2, 3, 5, 7}, Shape{70001}})
      list.add(
              f.op, to_string(shape), {noise(shape, 11, f.low, f.high)},
              [f](const Tensors& in) { return Tensors{f.run(in[0])}; },
              [f](const Arrays& in) { return one(map(in[0], f.plain)); }, f.units, f.units)
          .smooth = shape.elements() < 1000;

  // Beyond the range of float, and next to zero, where the bound is relative.
  const auto edge = [&](const char* op, Tensor (*run)(const Tensor&), double (*plain)(double),
                        double low, double high, double units) {
    list.add(
            op, message("{} to {}", low, high), {noise({1003}, 12, low, high)},
            [run](const Tensors& in) { return Tensors{run(in[0])}; },
            [plain](const Arrays& in) { return one(map(in[0], plain)); }, units,
            std::max(units, 8.0))
        .smooth = false;
  };
  edge("exp", pare::exp, [](double x) { return std::exp(x); }, -745, -80, 1);
  edge("tanh", pare::tanh, [](double x) { return std::tanh(x); }, -1e-5, 1e-5, 1e-4);
  edge("tanh", pare::tanh, [](double x) { return std::tanh(x); }, -800, 800, 8);
  edge("sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, -800, 800, 8);
  edge("silu", silu, [](double x) { return x / (1 + std::exp(-x)); }, -90, 90, 200);
}

void arithmetic_cases(List& list) {
  struct Binary {
    const char* op;
    Tensor (*run)(const Tensor&, const Tensor&);
    double (*plain)(double, double);
  };
  const Binary binaries[] = {{"add", add, [](double a, double b) { return a + b; }},
                             {"sub", sub, [](double a, double b) { return a - b; }},
                             {"mul", mul, [](double a, double b) { return a * b; }},
                             {"div", div, [](double a, double b) { return a / b; }}};
  const std::pair<Shape, Shape> shapes[] = {{{3, 4}, {3, 4}},
                                            {{3, 4}, {4}},
                                            {{4}, {3, 4}},
                                            {{3, 1}, {1, 4}},
                                            {{5}, {}},
                                            {{2, 3, 4}, {3, 1}},
                                            {{1}, {1, 1, 3}},
                                            {{2, 1, 3, 1}, {4, 1, 5}},
                                            {{7}, {7}},
                                            {{300, 301}, {301}},
                                            {{2, 3, 5, 4}, {2, 3, 5, 4}}};
  for (const Binary& f : binaries)
    for (const auto& [a, b] : shapes) {
      Shape out;
      const int rank = std::max(a.rank(), b.rank());
      const auto extent = [rank](const Shape& s, int axis) {
        return axis + s.rank() < rank ? int64_t(1) : s[axis + s.rank() - rank];
      };
      for (int i = 0; i < rank; ++i) out.push_back(std::max(extent(a, i), extent(b, i)));
      const int64_t repeats = out.elements() / std::min(a.elements(), b.elements());
      list.add(
              f.op, message("{} and {}", a, b), {noise(a, 1), noise(b, 2, 1, 2)},
              [f](const Tensors& in) { return Tensors{f.run(in[0], in[1])}; },
              [f, out](const Arrays& in) {
                Array y(out);
                const auto value = [&](const Array& x, const Index& i) {
                  Index at;
                  for (int axis = 0; axis < x.shape.rank(); ++axis)
                    at.push_back(
                        x.shape[axis] == 1 ? 0 : i[size_t(axis + out.rank() - x.shape.rank())]);
                  return x.at(at);
                };
                for_indices(out, [&](const Index& i) {
                  y.at(i) = f.plain(value(in[0], i), value(in[1], i));
                });
                return one(y);
              },
              4, 4 * dot_units(repeats))
          .smooth = out.elements() < 1000;
    }
}

void reduction_cases(List& list) {
  struct Reduction {
    Shape x;
    Ints axes;
    bool keep;
  };
  for (const Reduction& r :
       {Reduction{{2, 3, 4}, {}, false}, Reduction{{2, 3, 4}, {0}, true},
        Reduction{{2, 3, 4}, {-1, 0}, false}, Reduction{{1, 5}, {1}, true},
        Reduction{{2, 3, 5, 4}, {2, 3}, false}, Reduction{{500, 133}, {0}, false},
        Reduction{{133, 500}, {1}, false}}) {
    Shape kept = r.x, out;
    std::vector<bool> reduced(size_t(r.x.rank()), r.axes.size() == 0);
    for (int i = 0; i < r.axes.size(); ++i)
      reduced[size_t(r.axes[i] < 0 ? r.axes[i] + r.x.rank() : r.axes[i])] = true;
    for (int i = 0; i < r.x.rank(); ++i) {
      if (reduced[size_t(i)]) kept.set(i, 1);
      if (!reduced[size_t(i)] || r.keep) out.push_back(kept[i]);
    }
    const int64_t count = r.x.elements() / kept.elements();
    using Fold = void (*)(double&, double);
    const auto add = [&](const char* op, Tensor (*run)(const Tensor&, const Ints&, bool),
                         double start, double scale, Fold fold, double units) {
      list.add(
              op, message("{} over {} axes{}", r.x, r.axes.size(), r.keep ? ", kept" : ""),
              {noise(r.x, 3)},
              [=](const Tensors& in) { return Tensors{run(in[0], r.axes, r.keep)}; },
              [=](const Arrays& in) {
                Array y(kept);
                std::fill(y.v.begin(), y.v.end(), start);
                for_indices(r.x, [&](Index i) {
                  const double x = in[0].at(i);
                  for (size_t axis = 0; axis < i.size(); ++axis)
                    if (reduced[axis]) i[axis] = 0;
                  fold(y.at(i), x);
                });
                for (double& v : y.v) v *= scale;
                y.shape = out;
                return one(y);
              },
              units, 4)
          .smooth = r.x.elements() < 1000;
    };
    const Fold plus = [](double& y, double x) { y += x; };
    add("sum", sum, 0, 1, plus, dot_units(count));
    add("mean", mean, 0, 1 / double(count), plus, double(count + 4));
    add("max", max, -1e300, 1, [](double& y, double x) { y = std::max(y, x); }, 0);
  }
}

void softmax_cases(List& list) {
  for (const Shape& shape : {Shape{1, 1}, Shape{4, 5}, Shape{33, 10}, Shape{600, 129}}) {
    const int64_t rows = shape[0], classes = shape[1];
    const auto log_softmax_of = [=](const Array& x) {
      Array y(shape);
      for (int64_t r = 0; r < rows; ++r) {
        double top = -1e300, sum = 0;
        for (int64_t j = 0; j < classes; ++j) top = std::max(top, x.at({r, j}));
        for (int64_t j = 0; j < classes; ++j) sum += std::exp(x.at({r, j}) - top);
        for (int64_t j = 0; j < classes; ++j) y.at({r, j}) = x.at({r, j}) - top - std::log(sum);
      }
      return y;
    };
    const double units = 40 + double(classes);  // the sum of exponentials, and logits up to 6
    const bool smooth = shape.elements() < 1000;
    const Tensor logits = noise(shape, 9, -3, 3);
    list.add(
            "log_softmax", to_string(shape), {logits},
            [](const Tensors& in) { return Tensors{log_softmax(in[0])}; },
            [=](const Arrays& in) { return one(log_softmax_of(in[0])); }, units, dot_units(classes))
        .smooth = smooth;
    list.add(
            "softmax", to_string(shape), {logits},
            [](const Tensors& in) { return Tensors{softmax(in[0])}; },
            [=](const Arrays& in) {
              return one(map(log_softmax_of(in[0]), [](double x) { return std::exp(x); }));
            },
            units, dot_units(classes))
        .smooth = smooth;
    std::vector<int32_t> labels;
    for (int64_t r = 0; r < rows; ++r) labels.push_back(int32_t(r * 7 % classes));
    list.add(
            "softmax_cross_entropy", to_string(shape), {logits, Tensor::from(labels, {rows})},
            [](const Tensors& in) { return Tensors{softmax_cross_entropy(in[0], in[1])}; },
            [=](const Arrays& in) {
              const Array y = log_softmax_of(in[0]);
              Array loss{Shape{}};
              for (int64_t r = 0; r < rows; ++r)
                loss.v[0] -= y.at({r, int64_t(in[1].at({r}))}) / double(rows);
              return one(loss);
            },
            units + 8 * double(rows), units)
        .smooth = smooth;
  }
}

// The teacher is no input here: it gets no gradient.
void soft_target_cases(List& list) {
  const Shape shape{33, 10};
  const Tensor teacher = noise(shape, 18, -3, 3);
  const double temperature = 4;
  list.add(
      "soft_target_loss", to_string(shape), {noise(shape, 19, -3, 3)},
      [=](const Tensors& in) {
        const Tensor target = teacher.to(in[0].dtype()).to(in[0].device());
        return Tensors{soft_target_loss(in[0], target, temperature)};
      },
      [=](const Arrays& in) {
        Array loss{Shape{}};
        const auto t = teacher.to_vector<double>();
        for (size_t r = 0; r < t.size(); r += 10) {
          double ts = 0, ss = 0;
          for (size_t j = r; j < r + 10; ++j) {
            ts += std::exp(t[j] / temperature);
            ss += std::exp(in[0].v[j] / temperature);
          }
          for (size_t j = r; j < r + 10; ++j) {
            const double p = std::exp(t[j] / temperature) / ts;
            const double q = std::exp(in[0].v[j] / temperature) / ss;
            loss.v[0] += temperature * temperature * p * std::log(p / q) / 33;
          }
        }
        return one(loss);
      },
      200, 40);
}

}  // namespace

void add_elementwise_cases(List& list) {
  pointwise_cases(list);
  arithmetic_cases(list);
  reduction_cases(list);
  softmax_cases(list);
  soft_target_cases(list);
}

}  // namespace pare::testing
