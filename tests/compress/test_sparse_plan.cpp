// Sparse layers in plans: every form, on every instruction set, against the dense step's bits.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "autograd/graph.h"
#include "autograd/ops.h"
#include "compress/plan/plan.h"
#include "compress/plan/sparse_forms.h"
#include "compress/prune/prune.h"
#include "core/cpu/isa.h"
#include "core/cpu/kernels/sparse.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "layers/layers.h"
#include "layers/zoo.h"
#include "tests/support/isas.h"

using namespace pare;
using namespace pare::testing;
using namespace pare::plan;

namespace {

Tensor normals(const Shape& shape, uint64_t seed, double zeros = 0) {
  const Tensor x = Tensor::empty(shape);
  Rng rng(seed);
  for (int64_t i = 0; i < x.elements(); ++i) {
    const auto v = float(rng.normal());
    x.data<float>()[i] = rng.uniform() < zeros ? 0 : v;
  }
  return x;
}

// Runs a step on values 0 (input), 1 (output), 2 (residual), cut into parts.
std::vector<float> result(StepPtr step, int64_t images, const Tensor& x, const Tensor& residual,
                          int64_t parts) {
  step->inputs = {0};
  step->output = 1;
  const Tensor y = Tensor::full(residual.shape(), 1234.5);
  std::byte* at[] = {x.data<std::byte>(), y.data<std::byte>(), residual.data<std::byte>()};
  for (int64_t p = 0; p < parts; ++p) step->run({images, at}, p, parts);
  return y.to_vector<float>();
}

Tensor to_nhwc(const Tensor& x) {
  const Tensor y = Tensor::empty(x.shape());
  const int64_t n = x.size(0), c = x.size(1), pixels = x.size(2) * x.size(3);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < c; ++k)
      for (int64_t p = 0; p < pixels; ++p)
        y.data<float>()[(i * pixels + p) * c + k] = x.data<float>()[(i * c + k) * pixels + p];
  return y;
}

struct ConvCase {
  int64_t in, out, kernel, size, stride, padding, dilation, groups;
};
constexpr ConvCase conv_cases[] = {
    {3, 8, 3, 32, 1, 1, 1, 1},  {16, 16, 3, 16, 1, 1, 1, 1}, {5, 7, 3, 9, 2, 1, 1, 1},
    {4, 21, 5, 13, 1, 2, 1, 1}, {6, 8, 5, 14, 1, 0, 1, 1},   {8, 9, 1, 7, 1, 0, 1, 1},
    {8, 4, 1, 9, 2, 0, 1, 1},   {3, 5, 1, 6, 1, 2, 1, 1},    {4, 6, 3, 12, 1, 2, 2, 1},
    {4, 6, 3, 15, 3, 3, 2, 1},  {8, 8, 3, 8, 1, 1, 1, 8},    {8, 12, 3, 10, 2, 1, 1, 4},
    {2, 3, 4, 11, 2, 3, 1, 1},  {1, 1, 3, 3, 1, 0, 1, 1},    {3, 4, 2, 5, 3, 0, 1, 1},
    {8, 8, 3, 16, 1, 1, 1, 2},  {4, 6, 3, 32, 1, 2, 2, 1},   {3, 6, 3, 64, 1, 1, 1, 1},
    {24, 4, 3, 48, 1, 1, 1, 1}, {5, 8, 3, 24, 1, 1, 1, 1},   {4, 4, 3, 16, 1, 17, 17, 1},
    {4, 6, 3, 32, 2, 1, 1, 1},  {3, 4, 1, 33, 2, 0, 1, 1},   {2, 3, 5, 37, 2, 2, 1, 1},
    {3, 4, 3, 70, 2, 3, 2, 1},  {2, 5, 3, 50, 3, 1, 1, 1},   {8, 9, 1, 17, 1, 0, 1, 1},
};

}  // namespace

TEST_CASE("a sparse convolution has the bits of the dense one, for any cut of its rows") {
  on_every_isa([] {
    for (const ConvCase& c : conv_cases)
      for (const double zeros : {0.0, 0.6, 0.95, 1.0})
        for (const bool residual : {false, true}) {
          CAPTURE(c.in);
          CAPTURE(c.out);
          CAPTURE(c.kernel);
          CAPTURE(c.size);
          CAPTURE(c.stride);
          CAPTURE(c.padding);
          CAPTURE(c.dilation);
          CAPTURE(c.groups);
          CAPTURE(zeros);
          ConvSpec s;
          s.winograd = false;  // sparse convolutions have the bits of the direct form
          s.weight = normals({c.out, c.in / c.groups, c.kernel, c.kernel}, 1, zeros);
          s.bias = normals({c.out}, 2);
          const int64_t y =
              (c.size + 2 * c.padding - c.dilation * (c.kernel - 1) - 1) / c.stride + 1;
          s.x = {1, c.in, c.size, c.size}, s.y = {1, c.out, y, y};
          s.stride = c.stride, s.padding = c.padding, s.dilation = c.dilation, s.groups = c.groups;
          s.relu = c.in % 2 == 0;
          s.residual = residual ? 2 : -1;
          const int64_t n = 3;
          const Tensor x = normals({n, c.in, c.size, c.size}, 3), r = normals({n, c.out, y, y}, 4);
          const Tensor want =
              Tensor::from(result(conv_step(s), n, to_nhwc(x), to_nhwc(r), 1), {n, c.out, y, y});
          for (const cpu::SparseForm form : cpu::sparse_forms)
            for (const int64_t parts : {1, 2, 5}) {
              if (form == cpu::SparseForm::blocks_1x4) continue;
              CAPTURE(name_of(form));
              CAPTURE(parts);
              const auto got = result(sparse_conv_step(s, form), n, x, r, parts);
              CHECK(to_nhwc(Tensor::from(got, {n, c.out, y, y})).to_vector<float>() ==
                    want.to_vector<float>());
            }
        }
  });
}

TEST_CASE("sparse dense layers have the bits of dense ones in every form") {
  on_every_isa([] {
    for (const int64_t in : {4, 64, 784})
      for (const int64_t out : {1, 10, 33})
        for (const double zeros : {0.0, 0.5, 0.95, 1.0})
          for (const int64_t n : {1, 5, 16, 33, 70}) {
            CAPTURE(in);
            CAPTURE(out);
            CAPTURE(zeros);
            CAPTURE(n);
            DenseSpec s;
            s.weight = normals({out, in}, 5, zeros);
            s.bias = normals({out}, 6);
            s.relu = n % 2 == 1;
            const Tensor x = normals({n, in}, 7), r = normals({n, out}, 8);
            for (const int residual : {-1, 2}) {
              s.residual = residual;
              const auto want = result(dense_step(s), n, x, r, 1);
              for (const cpu::SparseForm form : cpu::sparse_forms)
                CHECK(result(sparse_lanes_step(s, form), n, x, r, 1) == want);
              if (residual < 0)
                for (const int64_t parts : {1, 3})
                  CHECK(result(sparse_row_step(s), n, x, r, parts) == want);
            }
          }
  });
}

TEST_CASE("a pruned network's plan gives what its graph gives, for any split and any threads") {
  // Layers take the sparse form that is named in turn, and the plan stays as they chose.
  int turn = 0;
  const Timing planted{
      .step =
          [&](const Step& step, const Frame&, int64_t) {
            const char* quick[] = {"single weights", "4x1 blocks", "8x1 blocks", "rows of 8"};
            return step.kernel.find(quick[turn % 4]) != std::string::npos ? 1 : 100;
          },
      .plan = [](Plan::State&, const Tensor&, Tensor&) { return 1; }};
  for (const std::string name : {"mlp", "lenet5", "cifar-cnn", "resnet20"}) {
    CAPTURE(name);
    const bool colour = name == "resnet20" || name == "cifar-cnn";
    auto net = make_model(name, colour ? ImageShape{3, 32, 32} : ImageShape{}, 10, 3);
    const Tensor probe = normals(colour ? Shape{8, 3, 32, 32} : Shape{8, 1, 28, 28}, 5);
    (*net)(probe, Mode::train);
    Graph graph = capture(*net, probe).clone();
    prune(graph, *make_criterion("magnitude"), {.sparsity = 0.95});
    const Tensor x = normals(graph.input_shape(37), 9), want = graph(x, Mode::eval);
    double largest = 0;
    for (const double v : want.to_vector<double>()) largest = std::max(largest, std::abs(v));
    on_every_isa([&] {
      ++turn;
      const Plan plan = compile(graph, {.timing = &planted});
      CAPTURE(plan.describe());
      CHECK(plan.describe().find("sparse layers stay") != std::string::npos);
      const std::vector<float> whole = plan(x).to_vector<float>();
      const auto expected = want.to_vector<double>();
      for (size_t i = 0; i < whole.size(); ++i)
        CHECK(std::abs(double(whole[i]) - expected[i]) <= 1e-4 * largest);
      for (const int threads : {1, 2, 3}) {
        set_threads(threads);
        CHECK(plan(x).to_vector<float>() == whole);
        std::vector<float> parts;
        for (const auto& [first, last] : {std::pair{0, 1}, {1, 3}, {3, 4}, {4, 37}}) {
          const auto part = plan(x.rows(first, last)).to_vector<float>();
          parts.insert(parts.end(), part.begin(), part.end());
        }
        CHECK(parts == whole);
      }
      set_threads(0);
    });
  }
}
