// A dense layer with many zeros. From a batch of some size on, blocks of 64 or 32 images run
// through the sparse product with the images in its lanes; few images run one by one through the
// sparse row kernel, outputs in the lanes. Which form serves which size of batch is chosen outside
// (choose.cpp); all forms sum in the same order, so every batch has the bits of the dense step.
#include "compress/plan/parts.h"
#include "compress/plan/sparse_forms.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/cpu/sparse_weights.h"
#include "core/error.h"

namespace pare::plan {
namespace {

// Parts of the columns, turned into lanes one after the other in one place: at most so many floats
// of inputs that they stay near the first cache, and at least so many multiply-adds of a row that
// picking its sums up again is little. Two parts pay wherever one is too large.
constexpr int64_t part_floats = 7 * 1024, part_macs = 650;

// Images in the lanes.
class SparseLanesStep : public Step {
 public:
  SparseLanesStep(const DenseSpec& s, cpu::SparseForm form)
      : out_(s.weight.size(0)), in_(s.weight.size(1)), relu_(s.relu), residual_(s.residual) {
    const float *w = s.weight.data<float>(), *bias = s.bias.data<float>();
    const bool single = form == cpu::SparseForm::rows || form == cpu::SparseForm::slices;
    kernel = name_of(form);
    // Single weights read their inputs at random: two vectors of lanes keep those near.
    lanes_ = single ? 2 * kernels_.width : 64;
    const int64_t stored = out_ * in_ - std::count(w, w + out_ * in_, 0.0f);
    const int64_t wanted = (in_ * lanes_ + part_floats - 1) / part_floats;
    const int64_t worth = (stored * lanes_ / out_ + part_macs / 2) / part_macs;
    const int64_t parts = single ? std::clamp(worth, std::min<int64_t>(2, wanted), wanted) : 1;
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t first = in_ * i / parts, count = in_ * (i + 1) / parts - first;
      const auto weight = [&](int64_t o, int64_t k) { return w[o * in_ + first + k]; };
      const auto offset = [&](int64_t k) { return k * lanes_; };
      parts_.push_back({first, count, cpu::pack_sparse(form, out_, count, bias, weight, offset)});
    }
  }
  int64_t packed_bytes() const override {
    int64_t bytes = 0;
    for (const Part& p : parts_) bytes += p.weights.bytes();
    return bytes;
  }

  void run(const Frame& f, int64_t, int64_t) const override {
    cpu::Scratch scratch;
    float* x = scratch.take<float>(size_t((in_ / int64_t(parts_.size()) + 1) * lanes_));
    float* y = scratch.take<float>(size_t(out_ * lanes_));
    for (int64_t first = 0, count = 0; first < f.images; first += count) {
      count = std::min(lanes_, f.images - first);
      const float* images = f.of(inputs[0]) + first * in_;
      for (const Part& part : parts_) {
        kernels_.to_lanes(images + part.first, count, part.count, in_, x, lanes_);
        cpu::SparseProduct p = part.weights.product();
        p.run_step = lanes_;
        p.x = x;
        p.positions = count;
        p.y = y;
        p.y_step = lanes_;
        p.load_y = part.first > 0;
        if (&part != &parts_.back())
          p.bias = nullptr;
        else
          p.relu = relu_ && residual_ < 0;
        kernels_.product(p);
      }
      kernels_.from_lanes(y, out_, count, lanes_, f.of(output) + first * out_, out_);
      if (residual_ >= 0) add_residual(f, first * out_, count * out_);
    }
  }

 private:
  void add_residual(const Frame& f, int64_t at, int64_t n) const {
    const float* residual = f.of(residual_) + at;
    float* y = f.of(output) + at;
    for (int64_t i = 0; i < n; ++i) {
      const float v = y[i] + residual[i];
      y[i] = relu_ && v < 0 ? 0 : v;
    }
  }

  const cpu::SparseKernels& kernels_ = cpu::kernels().sparse;
  struct Part {  // of the columns, in order
    int64_t first, count;
    cpu::SparseWeights weights;
  };
  std::vector<Part> parts_;
  int64_t out_, in_, lanes_;
  bool relu_;
  int residual_;
};

// Outputs in the lanes, image by image.
class SparseRowStep : public Step {
 public:
  explicit SparseRowStep(const DenseSpec& s)
      : weights_(cpu::pack_sparse_row(s.weight.size(0), s.weight.size(1), s.bias.data<float>(),
                                      s.weight.data<float>())),
        out_(s.weight.size(0)),
        in_(s.weight.size(1)),
        relu_(s.relu) {
    kernel = "rows of 8 outputs";
  }
  int64_t packed_bytes() const override { return weights_.bytes(); }
  int64_t parts(int64_t images) const override {
    // One vector of weights for each input: a weight takes as long as eight of a dense layer.
    return parts_for(images * int64_t(weights_.values.size()), int64_t(weights_.order.size()),
                     8000);
  }
  void run(const Frame& f, int64_t part, int64_t parts) const override {
    cpu::SparseRow r = weights_.row();
    r.relu = relu_;
    const int64_t first = r.blocks * part / parts, last = r.blocks * (part + 1) / parts;
    r.starts += first;
    r.order += first;
    r.blocks = last - first;
    for (int64_t i = 0; i < f.images; ++i) {
      r.x = f.of(inputs[0]) + i * in_;
      r.y = f.of(output) + i * out_;
      kernels_.row(r);
    }
  }

 private:
  const cpu::SparseKernels& kernels_ = cpu::kernels().sparse;
  cpu::SparseWeights weights_;
  int64_t out_, in_;
  bool relu_;
};

}  // namespace

std::vector<cpu::SparseForm> forms_for(const DenseSpec& spec) {
  using enum cpu::SparseForm;
  std::vector<cpu::SparseForm> forms{slices, blocks_4x1, blocks_8x1};
  if (spec.weight.size(1) % cpu::shape_of(blocks_1x4).run == 0) forms.push_back(blocks_1x4);
  return forms;
}
StepPtr sparse_lanes_step(const DenseSpec& spec, cpu::SparseForm form) {
  return std::make_unique<SparseLanesStep>(spec, form);
}
StepPtr sparse_row_step(const DenseSpec& spec) { return std::make_unique<SparseRowStep>(spec); }

}  // namespace pare::plan
