// A dense layer with many zeros: blocks of 64 or 32 images run through the sparse kernel, what is
// left of a batch through the dense one, with the same bits. A measurement decides.
#include <algorithm>
#include <chrono>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "compress/kernels/sparse_dense.h"
#include "compress/plan/step.h"
#include "core/cpu/scratch.h"
#include "core/error.h"

namespace pare::plan {
namespace {

class SparseDenseStep : public Step {
 public:
  SparseDenseStep(const DenseSpec& s, StepPtr dense, int rows)
      : dense_(std::move(dense)), out_(s.weight.size(0)), in_(s.weight.size(1)) {
    const int64_t blocks = (out_ + rows - 1) / rows;
    bias_.assign(size_t(blocks * rows), 0.0f);
    std::copy_n(s.bias.data<float>(), out_, bias_.begin());
    const auto weight = [&](int64_t o, int64_t k) {
      return o < out_ ? s.weight.data<float>()[o * in_ + k] : 0.0f;
    };
    starts_.push_back(0);
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t k = 0; k < in_; ++k) {
        bool any = false;
        for (int r = 0; r < rows; ++r) any = any || weight(b * rows + r, k) != 0;
        if (!any) continue;
        columns_.push_back(int32_t(k));
        for (int r = 0; r < rows; ++r) values_.push_back(weight(b * rows + r, k));
      }
      starts_.push_back(int32_t(columns_.size()));
    }
    sparse_ = {rows, blocks, starts_.data(), columns_.data(), values_.data(), bias_.data(), s.relu};
  }
  int64_t packed_bytes() const override {
    return int64_t((values_.size() + columns_.size() + starts_.size()) * 4) +
           dense_->packed_bytes();
  }

  int64_t parts(int64_t images) const override { return images < 32 ? dense_->parts(images) : 1; }

  // Cut into parts only where all of it is dense.
  void run(const Frame& f, int64_t part, int64_t parts) const override {
    int64_t first = 0;
    for (const int lanes : {64, 32})
      for (; f.images - first >= lanes; first += lanes)
        block(f.of(inputs[0]) + first * in_, lanes, f.of(output) + first * out_);
    if (first < f.images) {
      at_[0] = reinterpret_cast<std::byte*>(f.of(inputs[0]) + first * in_);
      at_[1] = reinterpret_cast<std::byte*>(f.of(output) + first * out_);
      dense_->run({f.images - first, at_}, part, parts);
    }
  }

 private:
  void block(const float* x, int lanes, float* y) const {
    float* in = cpu::scratch_of<float>(1, size_t(in_ * lanes));
    float* out = cpu::scratch_of<float>(2, size_t(sparse_.blocks * sparse_.rows * lanes));
    transpose(x, lanes, in_, in);
    kernel_(sparse_, in, lanes, out);
    transpose(out, out_, lanes, y);
  }

  // y[j][i] = x[i][j], four by four in registers, by tiles that stay in the cache.
  static void transpose(const float* x, int64_t rows, int64_t columns, float* y) {
    constexpr int64_t tile = 16;
    for (int64_t j0 = 0; j0 < columns; j0 += tile)
      for (int64_t i0 = 0; i0 < rows; i0 += 4)
        for (int64_t j = j0; j < std::min(columns, j0 + tile); j += 4)
          if (i0 + 4 <= rows && j + 4 <= columns)
            transpose_4x4(x + i0 * columns + j, columns, y + j * rows + i0, rows);
          else
            for (int64_t k = j; k < std::min(columns, j + 4); ++k)
              for (int64_t i = i0; i < std::min(rows, i0 + 4); ++i)
                y[k * rows + i] = x[i * columns + k];
  }
  static void transpose_4x4(const float* x, int64_t x_row, float* y, int64_t y_row) {
#if defined(__x86_64__)
    __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + x_row), c = _mm_loadu_ps(x + 2 * x_row),
           d = _mm_loadu_ps(x + 3 * x_row);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(y, a);
    _mm_storeu_ps(y + y_row, b);
    _mm_storeu_ps(y + 2 * y_row, c);
    _mm_storeu_ps(y + 3 * y_row, d);
#else
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t i = 0; i < 4; ++i) y[j * y_row + i] = x[i * x_row + j];
#endif
  }

  StepPtr dense_;  // reads value 0, writes value 1 of at_
  static thread_local std::byte* at_[2];
  SparseDenseKernel kernel_ = sparse_dense_kernel();
  SparseDense sparse_;
  std::vector<int32_t> starts_, columns_;
  std::vector<float> values_, bias_;
  int64_t out_, in_;
};
thread_local std::byte* SparseDenseStep::at_[2];

// The quickest of some runs on 64 images, in microseconds.
double measure(const Step& step, int64_t in, int64_t out) {
  const Tensor x = Tensor::full({64, in}, 0.5), y = Tensor::zeros({64, out});
  std::byte* at[2] = {x.data<std::byte>(), y.data<std::byte>()};
  double best = 1e30;
  for (int i = 0; i < 12; ++i) {
    const auto start = std::chrono::steady_clock::now();
    step.run({64, at}, 0, 1);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

}  // namespace

StepPtr sparse_or_dense_step(const DenseSpec& spec) {
  const float* w = spec.weight.data<float>();
  const int64_t n = spec.weight.elements(), zeros = std::count(w, w + n, 0.0f);
  StepPtr best = dense_step(spec);
  constexpr double worth_trying = 0.3;
  if (spec.residual >= 0 || double(zeros) < worth_trying * double(n)) return best;
  const auto ready = [](Step& s) {
    s.inputs = {0};
    s.output = 1;
  };
  ready(*best);
  const int64_t in = spec.weight.size(1), out = spec.weight.size(0);
  const double dense = measure(*best, in, out);
  double quickest = dense;
  std::string tried;
  for (const int rows : {1, 4}) {
    StepPtr inner = dense_step(spec);
    ready(*inner);
    auto step = std::make_unique<SparseDenseStep>(spec, std::move(inner), rows);
    ready(*step);
    const double took = measure(*step, in, out);
    tried += message(", {} {} us", rows == 1 ? "by single weights" : "by 4x1 blocks",
                     std::to_string(took).substr(0, 5));
    if (took < quickest) {
      quickest = took;
      step->kernel = rows == 1 ? "sparse by single weights" : "sparse by 4x1 blocks";
      best = std::move(step);
    }
  }
  best->kernel += message(" ({} % zeros; on 64 images dense {} us{})", 100 * zeros / n,
                          std::to_string(dense).substr(0, 5), tried);
  return best;
}

}  // namespace pare::plan
