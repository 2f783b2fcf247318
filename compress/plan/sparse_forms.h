// The sparse forms of layers with many zeros, and the choice among them by measurement.
#pragma once

#include <optional>

#include "compress/plan/timing.h"
#include "core/cpu/kernels/sparse.h"

namespace pare::plan {

// Images in the lanes. Blocks of 1x4 want inputs that 4 divides.
StepPtr sparse_lanes_step(const DenseSpec& spec, cpu::SparseForm form);
// Few images, one by one: blocks of eight outputs in the lanes. Without residual.
StepPtr sparse_row_step(const DenseSpec& spec);
// Reads and writes plain images. Any form but blocks of 1x4.
StepPtr sparse_conv_step(const ConvSpec& spec, cpu::SparseForm form);
// The same in slices, of kernels of 1x1, stride 1, without padding; sparse_conv_step takes it
// there.
StepPtr sparse_pointwise_step(const ConvSpec& spec);
// The forms worth measuring.
std::vector<cpu::SparseForm> forms_for(const DenseSpec& spec);
std::vector<cpu::SparseForm> forms_for(const ConvSpec& spec);

// The quickest form for each size of batch; the kernel's name says what was measured. Without
// `one_image` single images run dense.
StepPtr sparse_or_dense_step(const DenseSpec& spec, const Timing& timing, bool one_image = true);

std::string micros(double us);  // "12.34 us"

// Zeros enough for a sparse form to be tried.
bool worth_trying_sparse(const Tensor& weight);
struct ConvChoice {
  std::optional<cpu::SparseForm> form;  // none: dense
  std::string why;                      // what was measured
  ZerosUse zeros = ZerosUse::untried;
};
// How the values around a convolution lie. A sparse form reads and writes plain images, a dense one
// nhwc; conversions count in the choice.
struct ConvPlace {
  bool x_plain = false, residual_nhwc = false;
  bool y_nhwc = false;  // some reader wants it so
};
ConvChoice choose_conv(const ConvSpec& spec, const ConvPlace& place, const Timing& timing);

}  // namespace pare::plan
