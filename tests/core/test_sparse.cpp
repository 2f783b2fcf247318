// The sparse kernels against double precision, on every instruction set, over odd sizes.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "core/cpu/kernels/kernels.h"
#include "core/cpu/sparse_weights.h"
#include "core/random.h"
#include "tests/support/isas.h"

using namespace pare;
using namespace pare::testing;
using namespace pare::cpu;

namespace {

std::vector<const SparseKernels*> all_kernels() {
  std::vector<const SparseKernels*> all;
  const IsaScope scope;
  for (const Isa isa : isas_here(true)) {
    set_isa(isa);
    all.push_back(&kernels().sparse);
  }
  return all;
}

std::vector<float> normals(Rng& rng, int64_t n) {
  std::vector<float> v;
  for (int64_t i = 0; i < n; ++i) v.push_back(float(rng.normal()));
  return v;
}

// A matrix with a share of zeros, its second row empty.
std::vector<float> with_zeros(Rng& rng, int64_t outputs, int64_t columns, double zeros) {
  std::vector<float> w = normals(rng, outputs * columns);
  for (int64_t i = 0; i < outputs * columns; ++i)
    if (rng.uniform() < zeros || i / columns == 1) w[size_t(i)] = 0;
  return w;
}

SparseWeights pack(SparseForm form, int64_t outputs, int64_t columns,
                   const std::vector<float>& bias, const std::vector<float>& w, int64_t x_step) {
  const auto weight = [&](int64_t o, int64_t k) { return w[size_t(o * columns + k)]; };
  const auto offset = [&](int64_t k) { return k * x_step; };
  return pack_sparse(form, outputs, columns, bias.data(), weight, offset);
}

// Sums of at most 67 products of unit normals: 67 roundings of 2^-24 of a partial sum below 64.
constexpr double bound = 3e-4;
constexpr float untouched = 1234.5f;

}  // namespace

TEST_CASE("the sparse product gives the sums, and touches nothing else") {
  Rng rng(3);
  for (const SparseKernels* kernels : all_kernels())
    for (const SparseForm form : sparse_forms)
      for (const double zeros : {0.0, 0.5, 0.9, 1.0})
        for (const int64_t outputs : {1, 3, 8, 21})
          for (const int64_t positions : {1, 3, 7, 8, 15, 16, 17, 63, 64, 100, 131, 289}) {
            CAPTURE(int(form));
            CAPTURE(zeros);
            CAPTURE(outputs);
            CAPTURE(positions);
            const int64_t columns = form == SparseForm::blocks_1x4 ? 64 : 67,
                          x_step = positions + 3;
            const int64_t y_step = positions + 5;
            const auto w = with_zeros(rng, outputs, columns, zeros);
            const auto x = normals(rng, columns * x_step), bias = normals(rng, outputs);
            const auto residual = normals(rng, outputs * y_step);
            const SparseWeights packed = pack(form, outputs, columns, bias, w, x_step);
            SparseProduct p = packed.product();
            std::vector<float> y(size_t(outputs * y_step), untouched);
            p.run_step = x_step, p.x = x.data(), p.positions = positions;
            p.y = y.data(), p.y_step = y_step;
            const bool act = positions % 2 == 1;
            p.relu = act, p.residual = act ? residual.data() : nullptr;
            kernels->product(p);
            double off = 0;
            bool kept = true;
            for (int64_t o = 0; o < outputs; ++o)
              for (int64_t q = 0; q < y_step; ++q) {
                const float got = y[size_t(o * y_step + q)];
                if (q >= positions) {
                  kept = kept && got == untouched;
                  continue;
                }
                double want = bias[size_t(o)];
                for (int64_t k = 0; k < columns; ++k)
                  want += double(w[size_t(o * columns + k)]) * x[size_t(k * x_step + q)];
                if (act) want = std::max(0.0, want + residual[size_t(o * y_step + q)]);
                off = std::max(off, std::abs(want - double(got)));
              }
            CHECK(off < bound);
            CHECK(kept);
          }
}

TEST_CASE("the sparse product goes row by row where it is asked to") {
  Rng rng(6);
  for (const SparseKernels* kernels : all_kernels())
    for (const SparseForm form : sparse_forms)
      for (const int64_t row : {16, 17, 28, 32, 45})
        for (const int64_t count : {1, 2, 7}) {
          if (form == SparseForm::blocks_1x4) continue;
          CAPTURE(int(form));
          CAPTURE(row);
          CAPTURE(count);
          const int64_t columns = 20, outputs = 9, x_row = row + 3, x_step = x_row * count;
          const auto w = with_zeros(rng, outputs, columns, 0.5);
          const auto x = normals(rng, columns * x_step), bias = normals(rng, outputs);
          const SparseWeights packed = pack(form, outputs, columns, bias, w, x_step);
          SparseProduct p = packed.product();
          std::vector<float> y(size_t(outputs * row * count));
          p.x = x.data(), p.positions = row * count, p.row = row, p.x_row = x_row;
          p.y = y.data(), p.y_step = row * count;
          kernels->product(p);
          double off = 0;
          for (int64_t o = 0; o < outputs; ++o)
            for (int64_t q = 0; q < row * count; ++q) {
              double want = bias[size_t(o)];
              for (int64_t k = 0; k < columns; ++k)
                want += double(w[size_t(o * columns + k)]) *
                        x[size_t(k * x_step + q / row * x_row + q % row)];
              off = std::max(off, std::abs(want - double(y[size_t(o * row * count + q)])));
            }
          CHECK(off < bound);
        }
}

TEST_CASE("the sparse row kernel gives the sums") {
  Rng rng(4);
  for (const SparseKernels* kernels : all_kernels())
    for (const double zeros : {0.0, 0.5, 0.9, 1.0})
      for (const int64_t outputs : {1, 7, 8, 9, 24, 31, 40, 100})
        for (const int64_t columns : {1, 13, 67}) {
          CAPTURE(zeros);
          CAPTURE(outputs);
          CAPTURE(columns);
          const auto w = with_zeros(rng, outputs, columns, zeros);
          const auto x = normals(rng, columns), bias = normals(rng, outputs);
          const SparseWeights packed = pack_sparse_row(outputs, columns, bias.data(), w.data());
          SparseRow r = packed.row();
          std::vector<float> y(size_t(outputs + 1), untouched);
          r.x = x.data(), r.y = y.data(), r.relu = columns == 13;
          kernels->row(r);
          double off = 0;
          for (int64_t o = 0; o < outputs; ++o) {
            double want = bias[size_t(o)];
            for (int64_t k = 0; k < columns; ++k)
              want += double(w[size_t(o * columns + k)]) * x[size_t(k)];
            if (r.relu) want = std::max(0.0, want);
            off = std::max(off, std::abs(want - double(y[size_t(o)])));
          }
          CHECK(off < bound);
          CHECK(y.back() == untouched);
        }
}

TEST_CASE("images go into planes, shifted for each tap, zeros around") {
  Rng rng(9);
  const int32_t channels[] = {2, 0, 3};
  for (const SparseKernels* kernels : all_kernels())
    for (const int taps : {1, 3})
      for (const int step : {1, 2, 7, 16})
        for (const int64_t n : {1, 5, 8, 16, 23, 32, 48, 64})
          for (const int64_t rows : {0, 1, 3})
            for (const bool zeros : {false, true}) {
              if (taps == 3 && (n % kernels->width != 0 || step > kernels->most_step)) continue;
              CAPTURE(taps);
              CAPTURE(step);
              CAPTURE(n);
              CAPTURE(rows);
              SparsePlanes p;
              p.count = 3, p.channels = channels, p.taps = taps, p.step = step;
              p.rows = rows, p.n = n, p.x_step = rows * n + 2;
              p.y_row = taps == 3 ? n : n + 3;
              p.head = taps == 3 ? n : n + 4, p.tail = 2 * p.y_row, p.edges = zeros;
              p.whole = zeros && taps == 1 && step == 2;
              p.y_step = p.head + (rows + 3) * p.y_row;
              const auto x = normals(rng, 4 * p.x_step);
              std::vector<float> y(size_t(3 * taps * p.y_step + 16), untouched);
              p.x = x.data(), p.y = y.data();
              kernels->planes(p);
              int64_t wrong = 0;
              for (int64_t q = 0; q < 3 * taps * p.y_step; ++q) {
                const int64_t plane = q / p.y_step, at = q % p.y_step - p.head;
                const int64_t r = at / p.y_row, j = at % p.y_row;
                float want = zeros ? 0.0f : untouched;
                if (at >= 0 && r < rows) {
                  if (j >= n && !p.whole) continue;
                  const int64_t from = j + (taps == 3 ? (plane % 3 - 1) * step : 0);
                  want = from < 0 || from >= n || j >= n
                             ? 0.0f
                             : x[size_t(channels[plane / taps] * p.x_step + r * n + from)];
                } else if (at >= 0 && r >= rows + 2 && !p.whole) {
                  if (taps == 1) continue;
                  want = untouched;
                } else if (!zeros && taps == 1) {
                  continue;
                }
                wrong += y[size_t(q)] != want;
              }
              CHECK(wrong == 0);
            }
}

TEST_CASE("every second pixel is taken, and none behind the last") {
  Rng rng(10);
  for (const SparseKernels* kernels : all_kernels())
    for (const int64_t n : {1, 2, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 50}) {
      CAPTURE(n);
      const int64_t rows = 3, x_step = 2 * n + 3, y_step = n + 5;
      const int64_t whole = (n + kernels->width - 1) / kernels->width * kernels->width;
      std::vector<float> x = normals(rng, 2 * x_step + 2 * n - 1);
      std::vector<float> y(size_t(2 * y_step + whole + 1), untouched);
      kernels->every_second(
          {.rows = rows, .n = n, .x = x.data(), .x_step = x_step, .y = y.data(), .y_step = y_step});
      int64_t wrong = 0;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t j = 0; j < n; ++j)
          wrong += y[size_t(r * y_step + j)] != x[size_t(r * x_step + 2 * j)];
      for (int64_t j = n; j < whole; ++j) wrong += y[size_t(2 * y_step + j)] != 0;
      CHECK(wrong == 0);
      CHECK(y.back() == untouched);
    }
}

TEST_CASE("rows go into lanes and back, and nothing else is touched") {
  Rng rng(5);
  for (const SparseKernels* kernels : all_kernels())
    for (const int64_t lanes : {0, 8, 16, 20, 32, 64})
      for (const int64_t images : {0, 1, 3, 4, 7, 8, 12, 16, 17, 31, 32, 59, 64})
        for (const int64_t columns : {0, 1, 4, 9, 16, 31, 32, 33, 44, 100}) {
          if (images > lanes) continue;
          CAPTURE(lanes);
          CAPTURE(images);
          CAPTURE(columns);
          const int64_t x_step = columns + 2;
          const auto x = normals(rng, images * x_step);
          std::vector<float> in(size_t(columns * lanes), untouched);
          kernels->to_lanes(x.data(), images, columns, x_step, in.data(), lanes);
          bool same = true;
          for (int64_t j = 0; j < columns; ++j)
            for (int64_t i = 0; i < lanes; ++i)
              same = same && in[size_t(j * lanes + i)] ==
                                 (i < images ? x[size_t(i * x_step + j)] : untouched);
          CHECK(same);
          std::vector<float> out(size_t(images * x_step), untouched);
          kernels->from_lanes(in.data(), columns, images, lanes, out.data(), x_step);
          for (int64_t i = 0; i < images; ++i)
            for (int64_t j = 0; j < x_step; ++j)
              same = same && out[size_t(i * x_step + j)] ==
                                 (j < columns ? x[size_t(i * x_step + j)] : untouched);
          CHECK(same);
        }
}

TEST_CASE("slices hold each weight once, rows of like length together, and go on from given sums") {
  Rng rng(8);
  const int64_t outputs = 22, columns = 67, positions = 5;
  const auto w = with_zeros(rng, outputs, columns, 0.8);
  const std::vector<float> bias(size_t(outputs), 0.0f);
  const SparseWeights packed = pack(SparseForm::slices, outputs, columns, bias, w, positions);
  // The last slice takes its first row again where rows are missing.
  CHECK(packed.order.size() == 24);
  int64_t kept = 0, stored = 0;
  for (const int32_t o : packed.order)
    for (int64_t k = 0; k < columns; ++k) kept += w[size_t(o * columns + k)] != 0;
  for (const float v : packed.values) stored += v != 0;
  CHECK(stored == kept);
  CHECK(int64_t(packed.values.size()) <= kept + kept / 4);
  for (size_t i = 2; i < packed.starts.size(); ++i)
    CHECK(packed.starts[i] - packed.starts[i - 1] <= packed.starts[i - 1] - packed.starts[i - 2]);
  const auto x = normals(rng, columns * positions);
  for (const SparseKernels* kernels : all_kernels()) {
    SparseProduct p = packed.product();
    std::vector<float> once(size_t(outputs * positions)), twice = once;
    p.x = x.data(), p.positions = positions, p.y_step = positions, p.bias = nullptr;
    p.y = once.data();
    kernels->product(p);
    p.y = twice.data();
    kernels->product(p);
    p.load_y = true;
    kernels->product(p);
    for (size_t i = 0; i < once.size(); ++i) CHECK(std::abs(twice[i] - 2 * once[i]) < bound);
  }
}

TEST_CASE("slices read columns below 2^16 floats and beyond alike") {
  Rng rng(9);
  const int64_t outputs = 7, columns = 67, positions = 50;
  const auto w = with_zeros(rng, outputs, columns, 0.5), bias = normals(rng, outputs);
  std::vector<float> near;
  for (const SparseKernels* kernels : all_kernels())
    for (const int64_t x_step : {positions, int64_t(1) << 10, int64_t(1100)}) {
      CAPTURE(x_step);
      const SparseWeights packed = pack(SparseForm::slices, outputs, columns, bias, w, x_step);
      CHECK(packed.short_offsets.empty() == (x_step >= 1 << 10));
      CHECK(packed.offsets.empty() != packed.short_offsets.empty());
      std::vector<float> x(size_t(columns * x_step)), y(size_t(outputs * positions));
      for (int64_t k = 0; k < columns; ++k)
        for (int64_t q = 0; q < positions; ++q) x[size_t(k * x_step + q)] = float(k * 3 + q) / 64;
      SparseProduct p = packed.product();
      p.x = x.data(), p.positions = positions, p.y = y.data(), p.y_step = positions;
      kernels->product(p);
      if (x_step == positions) near = y;
      CHECK(y == near);
    }
}
