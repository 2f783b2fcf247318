// Dense and convolution steps over weights packed at compile time for core's register tile. Every
// element is bias + sum over k in order (kernel row, kernel column, channel) (+ residual), however
// the rows are grouped into tiles: that is what makes results independent of batches and threads.
#include <algorithm>
#include <cstring>

#include "compress/plan/parts.h"
#include "compress/plan/step.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"

namespace pare::plan {
namespace {

using cpu::MatrixKernels;
using cpu::TileArgs;

class DenseStep : public Step {
 public:
  explicit DenseStep(const DenseSpec& s)
      : out_(s.weight.size(0)), in_(s.weight.size(1)), relu_(s.relu), residual_(s.residual) {
    const int64_t width = kernels_.panel_width;
    panels_ = Tensor::zeros({(out_ + width - 1) / width, in_, width});
    for (int64_t j = 0; j < out_; j += width)
      kernels_.pack_transposed(s.weight.data<float>() + j * in_, in_, in_,
                               int(std::min(width, out_ - j)), panels_.data<float>() + j * in_);
    bias_ = s.bias.clone();
    kernel = "dense, packed panels of " + std::to_string(width);
  }
  int64_t packed_bytes() const override { return int64_t(panels_.bytes()); }
  int64_t parts(int64_t images) const override {
    return parts_for(images * out_ * in_, panels_.size(0), 60000);  // its weights are most of it
  }

  void run(const Frame& f, int64_t part, int64_t parts) const override {
    const int64_t width = kernels_.panel_width, count = panels_.size(0);
    const int64_t first = count * part / parts * width;
    const int64_t last = std::min(out_, count * (part + 1) / parts * width);
    if (first >= last) return;
    const float* x = f.of(inputs[0]);
    float* y = f.of(output);
    const float* residual = residual_ < 0 ? nullptr : f.of(residual_);
    if (f.images == 1) {
      rows_({x, panels_.data<float>() + first * in_, in_, last - first, bias_.data<float>() + first,
             residual ? residual + first : nullptr, relu_, y + first});
      return;
    }
    const int64_t step = kernels_.tile_rows, tiles = (f.images + step - 1) / step;
    TileArgs<float> t;
    t.run = in_;
    t.c_stride = out_;
    t.relu = relu_;
    const float* rows[16];
    t.a_rows = rows;
    for (int64_t j = first; j < last; j += width) {
      t.b = panels_.data<float>() + j * in_;
      t.columns = int(std::min(width, last - j));
      t.bias = bias_.data<float>() + j;
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t r0 = f.images * i / tiles, r1 = f.images * (i + 1) / tiles;
        for (int64_t r = r0; r < r1; ++r) rows[r - r0] = x + r * in_;
        t.c = y + r0 * out_ + j;
        t.residual = residual ? residual + r0 * out_ + j : nullptr;
        kernels_.tile(int(r1 - r0), t);
      }
    }
  }

 private:
  const MatrixKernels<float>& kernels_ = cpu::matrix_kernels<float>();
  cpu::RowProduct rows_ = cpu::kernels().row_product;
  Tensor panels_, bias_;
  int64_t out_, in_;
  bool relu_;
  int residual_;
};

class ConvStep : public Step {
 public:
  explicit ConvStep(const ConvSpec& s) : s_(s) {
    const int64_t width = kernels_.panel_width, kh = s.weight.size(2), kw = s.weight.size(3);
    in_ = s.weight.size(1), out_ = s.weight.size(0) / s.groups, depth_ = in_ * kh * kw;
    const int64_t count = (out_ + width - 1) / width;
    panels_ = Tensor::zeros({s.groups * count, depth_, width});
    for (int64_t o = 0; o < s.weight.size(0); ++o)
      for (int64_t i = 0; i < in_; ++i)
        for (int64_t tap = 0; tap < kh * kw; ++tap) {
          const int64_t g = o / out_, j = o % out_;
          panels_.data<float>()[((g * count + j / width) * depth_ + tap * in_ + i) * width +
                                j % width] = s.weight.data<float>()[(o * in_ + i) * kh * kw + tap];
        }
    s_.weight = Tensor();
    s_.bias = s.bias.clone();
    reach_ = s.dilation * (kh - 1) + 1;
    padded_width_ = s.x[3] + 2 * s.padding;
    copies_ = s.padding > 0 || s.groups > 1;
    const bool joined = s.dilation == 1;
    run_ = joined ? kw * in_ : in_;
    for (int64_t a = 0; a < kh; ++a)
      for (int64_t b = 0; b < (joined ? 1 : kw); ++b)
        offsets_.push_back((a * s.dilation * padded_width_ + b * s.dilation) * in_);
    kernel = "conv2d, direct, " + std::to_string(kh) + "x" + std::to_string(kw);
  }
  int64_t packed_bytes() const override { return int64_t(panels_.bytes()); }
  int64_t parts(int64_t images) const override {
    return parts_for(images * s_.y[2] * s_.y[3] * s_.y[1] * depth_, images * s_.y[2], 150000);
  }

  void run(const Frame& f, int64_t part, int64_t parts) const override {
    for_rows(f.images * s_.y[2], s_.y[2], part, parts,
             [&](int64_t image, int64_t first, int64_t last) {
               for (int64_t g = 0; g < s_.groups; ++g) rows_of_image(f, image, g, first, last);
             });
  }

 private:
  // Output rows [first, last) of one group of one image.
  void rows_of_image(const Frame& f, int64_t image, int64_t g, int64_t first, int64_t last) const {
    const int64_t height = s_.x[2], width = s_.x[3], channels = s_.x[1];
    const float* x = f.of(inputs[0]) + image * channels * height * width;
    const int64_t top = first * s_.stride, bottom = (last - 1) * s_.stride + reach_;
    const float* window = x + top * width * channels;
    cpu::Scratch scratch;
    if (copies_) {
      float* padded = scratch.take<float>(size_t((bottom - top) * padded_width_ * in_));
      for (int64_t i = top; i < bottom; ++i)
        copy_row(x, i - s_.padding, g, padded + (i - top) * padded_width_ * in_);
      window = padded;
    }
    const int64_t columns = kernels_.panel_width, count = (out_ + columns - 1) / columns;
    const int64_t at = ((image * s_.y[2] + first) * s_.y[3]) * s_.y[1] + g * out_;
    TileArgs<float> t;
    t.segments = int(offsets_.size());
    t.offsets = offsets_.data();
    t.run = run_;
    t.c_stride = s_.y[1];
    t.relu = s_.relu;
    for (int64_t j = 0; j < out_; j += columns) {
      t.b = panels_.data<float>() + (g * count * columns + j) * depth_;
      t.columns = int(std::min(columns, out_ - j));
      t.bias = s_.bias.data<float>() + g * out_ + j;
      t.c = f.of(output) + at + j;
      t.residual = s_.residual < 0 ? nullptr : f.of(s_.residual) + at + j;
      if (in_ * s_.stride == 1)
        tiles_of_adjacent_pixels(t, window, last - first);
      else
        tiles_of_pixels(t, window, (last - first) * s_.y[3]);
    }
  }

  void tiles_of_pixels(TileArgs<float> t, const float* window, int64_t pixels) const {
    const int64_t step = kernels_.tile_rows, tiles = (pixels + step - 1) / step;
    const float* a[16];
    t.a_rows = a;
    int64_t r = 0, c = 0;
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t rows = pixels * (i + 1) / tiles - pixels * i / tiles;
      for (int64_t k = 0; k < rows; ++k) {
        a[k] = window + (r * padded_width_ + c) * s_.stride * in_;
        if (++c == s_.y[3]) {
          c = 0;
          ++r;
        }
      }
      kernels_.tile(int(rows), t);
      t.c += rows * t.c_stride;
      if (t.residual) t.residual += rows * t.c_stride;
    }
  }

  // Windows one element apart are the rows of a transposed tile, which needs one pointer for all.
  void tiles_of_adjacent_pixels(TileArgs<float> t, const float* window, int64_t lines) const {
    const int64_t narrow = kernels_.panel_width / 2, pixels = s_.y[3];
    const int64_t step = t.columns <= narrow ? kernels_.narrow_rows : kernels_.tile_rows;
    const int64_t tiles = (pixels + step - 1) / step;
    t.a_step = 1;
    for (int64_t line = 0; line < lines; ++line)
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t first = pixels * i / tiles, rows = pixels * (i + 1) / tiles - first;
        t.a = window + line * padded_width_ + first;
        kernels_.tile_transposed(int(rows), t);
        t.c += rows * t.c_stride;
        if (t.residual) t.residual += rows * t.c_stride;
      }
  }

  void copy_row(const float* x, int64_t i, int64_t g, float* to) const {
    const int64_t width = s_.x[3], channels = s_.x[1], edge = s_.padding * in_;
    if (i < 0 || i >= s_.x[2]) {
      std::memset(to, 0, size_t(padded_width_ * in_) * sizeof(float));
      return;
    }
    std::memset(to, 0, size_t(edge) * sizeof(float));
    std::memset(to + edge + width * in_, 0, size_t(edge) * sizeof(float));
    const float* from = x + i * width * channels + g * in_;
    if (in_ == channels)
      std::memcpy(to + edge, from, size_t(width * in_) * sizeof(float));
    else
      for (int64_t j = 0; j < width; ++j)
        std::memcpy(to + edge + j * in_, from + j * channels, size_t(in_) * sizeof(float));
  }

  const MatrixKernels<float>& kernels_ = cpu::matrix_kernels<float>();
  ConvSpec s_;
  Tensor panels_;
  std::vector<ptrdiff_t> offsets_;
  int64_t in_ = 0, out_ = 0, depth_ = 0, reach_ = 0, padded_width_ = 0, run_ = 0;
  bool copies_ = false;
};

}  // namespace

StepPtr dense_step(const DenseSpec& spec) { return std::make_unique<DenseStep>(spec); }
StepPtr conv_step(const ConvSpec& spec) {
  if (spec.winograd && winograd_pays(spec)) return winograd_step(spec);
  return std::make_unique<ConvStep>(spec);
}

}  // namespace pare::plan
