// A 3x3 convolution in Winograd's form, and when it is taken: by a count of vector operations from
// the layer's shape and the instruction set alone, so that a plan's bits never depend on a clock.
#include <algorithm>

#include "compress/plan/step.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"

namespace pare::plan {
namespace {

int64_t vectors_of(int64_t channels, int64_t lanes) { return (channels + lanes - 1) / lanes; }

class WinogradStep : public Step {
 public:
  explicit WinogradStep(const ConvSpec& s) : residual_(s.residual), bias_(s.bias.clone()) {
    s_.height = s.x[2], s_.width = s.x[3], s_.channels = s.x[1];
    s_.out_height = s.y[2], s_.out_width = s.y[3], s_.out_channels = s.y[1];
    s_.padding = s.padding;
    s_.relu = s.relu;
    s_.bias = bias_.data<float>();
    pack(s.weight);
    kernel = "conv2d, Winograd F(4x4, 3x3)";
  }
  int64_t packed_bytes() const override { return int64_t(filters_.bytes()); }
  int64_t parts(int64_t images) const override {
    const int64_t tiles = images * s_.tiles();
    return parts_for(36 * tiles * s_.channels * s_.out_channels, tiles, 150000);
  }
  void run(const Frame& f, int64_t part, int64_t parts) const override {
    const int64_t tiles = f.images * s_.tiles();
    cpu::WinogradTiles t;
    t.x = f.of(inputs[0]);
    t.residual = residual_ < 0 ? nullptr : f.of(residual_);
    t.y = f.of(output);
    t.first = tiles * part / parts, t.last = tiles * (part + 1) / parts;
    cpu::Scratch scratch;
    t.scratch = scratch.take<float>(size_t(kernels_.scratch_floats(s_)));
    kernels_.run(s_, t);
  }

 private:
  void pack(const Tensor& weight) {
    const int64_t lanes = kernels_.lanes, c = s_.channels,
                  vectors = vectors_of(s_.out_channels, lanes);
    filters_ = Tensor::zeros({36, vectors, c, lanes});
    s_.filters = filters_.data<float>();
    double u[36];
    for (int64_t o = 0; o < s_.out_channels; ++o)
      for (int64_t i = 0; i < c; ++i) {
        cpu::winograd_filter(weight.data<float>() + (o * c + i) * 9, u);
        for (int64_t p = 0; p < 36; ++p)
          filters_.data<float>()[((p * vectors + o / lanes) * c + i) * lanes + o % lanes] =
              float(u[p]);
      }
  }

  const cpu::WinogradKernel& kernels_ = cpu::kernels().winograd;
  int residual_;
  Tensor filters_, bias_;
  cpu::Winograd s_;
};

}  // namespace

bool winograd_pays(const ConvSpec& s) {
  if (s.weight.size(2) != 3 || s.weight.size(3) != 3 || s.stride != 1 || s.dilation != 1 ||
      s.groups != 1)
    return false;
  // In vector operations. The products reach 7/8 of what the direct form's reach; the transforms
  // take as long as some 300 operations a vector on either side. The direct form has half vectors.
  const int64_t lanes = cpu::kernels().winograd.lanes, c = s.x[1],
                half = std::min<int64_t>(lanes, 8);
  const int64_t in = vectors_of(c, lanes), out = vectors_of(s.y[1], lanes);
  const int64_t tiles = ((s.y[2] + 3) / 4) * ((s.y[3] + 3) / 4);
  const int64_t winograd = tiles * (36 * 8 * c * out / 7 + 300 * (in + out));
  const int64_t direct = s.y[2] * s.y[3] * 9 * c * vectors_of(s.y[1], half) * half / lanes;
  return winograd < direct;
}

StepPtr winograd_step(const ConvSpec& spec) { return std::make_unique<WinogradStep>(spec); }

}  // namespace pare::plan
