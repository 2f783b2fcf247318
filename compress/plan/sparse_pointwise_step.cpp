// A 1x1 convolution by single weights: a dense layer whose images are pixels. Planes of channels
// lie apart by their size, often 1 or 4 KiB, and then share few sets of the cache; so a block of
// pixels of all channels is copied side by side, and the sparse product (core/cpu/kernels/sparse.h)
// reads it from the first cache.
#include <algorithm>

#include "compress/plan/parts.h"
#include "compress/plan/sparse_forms.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/cpu/sparse_weights.h"

namespace pare::plan {
namespace {

// Floats of inputs at a time, near the first cache, and most pixels.
constexpr int64_t block_floats = 8 * 1024, most_pixels = 96;

class SparsePointwiseStep : public Step {
 public:
  explicit SparsePointwiseStep(const ConvSpec& s)
      : in_(s.x[1]), out_(s.y[1]), pixels_(s.y[2] * s.y[3]), relu_(s.relu), residual_(s.residual) {
    const int64_t width = kernels_.width;
    const int64_t fitting =
        std::clamp<int64_t>(block_floats / in_ / width, 1, most_pixels / width) * width;
    blocks_ = (pixels_ + fitting - 1) / fitting;
    block_ = ((pixels_ + blocks_ - 1) / blocks_ + width - 1) / width * width;
    blocks_ = (pixels_ + block_ - 1) / block_;
    // The matrix of all channels; other groups' weights are zeros.
    const int64_t group_in = in_ / s.groups, group_out = out_ / s.groups;
    const float* w = s.weight.data<float>();
    const auto weight = [&](int64_t o, int64_t k) {
      const int64_t i = k - o / group_out * group_in;
      return i >= 0 && i < group_in ? w[o * group_in + i] : 0.0f;
    };
    const auto offset = [&](int64_t k) { return k * block_; };
    constexpr auto form = cpu::SparseForm::slices;
    weights_ = cpu::pack_sparse(form, out_, in_, s.bias.data<float>(), weight, offset);
    kernel = message("conv2d, sparse by {}, 1x1", name_of(form));
  }
  int64_t packed_bytes() const override { return weights_.bytes(); }
  int64_t parts(int64_t images) const override {
    return parts_for(images * pixels_ * int64_t(weights_.values.size()), images * blocks_);
  }
  void run(const Frame& f, int64_t part, int64_t parts) const override {
    cpu::Scratch scratch;
    float* inputs_of_block = scratch.take<float>(size_t(in_ * block_));
    cpu::SparseProduct p = weights_.product();
    p.x = inputs_of_block;
    p.y_step = pixels_;
    p.relu = relu_;
    for_rows(f.images * blocks_, blocks_, part, parts,
             [&](int64_t image, int64_t first, int64_t last) {
               for (int64_t b = first; b < last; ++b) {
                 const int64_t q = b * block_, y = image * out_ * pixels_ + q;
                 p.positions = std::min(block_, pixels_ - q);
                 kernels_.copy({.rows = in_,
                                .n = p.positions,
                                .x = f.of(inputs[0]) + image * in_ * pixels_ + q,
                                .x_step = pixels_,
                                .y = inputs_of_block,
                                .y_step = block_});
                 p.y = f.of(output) + y;
                 p.residual = residual_ < 0 ? nullptr : f.of(residual_) + y;
                 kernels_.product(p);
               }
             });
  }

 private:
  const cpu::SparseKernels& kernels_ = cpu::kernels().sparse;
  cpu::SparseWeights weights_;
  int64_t in_, out_, pixels_;
  int64_t blocks_ = 0, block_ = 0;  // of an image, and pixels of each
  bool relu_;
  int residual_;
};

}  // namespace

StepPtr sparse_pointwise_step(const ConvSpec& spec) {
  return std::make_unique<SparsePointwiseStep>(spec);
}

}  // namespace pare::plan
