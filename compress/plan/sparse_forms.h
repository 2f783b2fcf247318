// The sparse forms of layers with many zeros, and the choice among them by measurement.
#pragma once

#include "compress/plan/timing.h"

namespace pare::plan {

// Blocks of rows x run weights (1x1, 4x1, 8x1, 1x4) that share an input; images in the lanes.
StepPtr sparse_lanes_step(const DenseSpec& spec, int rows, int run);
// Few images, one by one: blocks of eight outputs in the lanes. Without residual.
StepPtr sparse_row_step(const DenseSpec& spec);
// Reads and writes plain images; blocks of `rows` output channels (1, 4, 8) share an input.
StepPtr sparse_conv_step(const ConvSpec& spec, int rows);

// The quickest form for each size of batch; the kernel's name says what was measured.
StepPtr sparse_or_dense_step(const DenseSpec& spec, const Timing& timing);

std::string micros(double us);  // "12.34 us"

// Zeros enough for a sparse form to be tried.
bool worth_trying_sparse(const Tensor& weight);
struct ConvChoice {
  int rows = 0;     // of the sparse form's blocks; 0: dense
  std::string why;  // what was measured
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
