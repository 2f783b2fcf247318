// Winograd's form of a 3x3 convolution of stride 1 over nhwc images, F(4x4, 3x3): a 4x4 tile of
// outputs costs 36 products for each pair of channels where the direct form takes 144.
//
//   y = A' [ sum over c of (G w_c G') * (B' x_c B) ] A,  * element by element, x_c the 6x6 window
//
// (Lavin and Gray, arXiv:1509.09308), over the points 0, +-sqrt(1/2), +-sqrt(2), infinity: with
// them rounding errors stay within a few times those of the direct form (Barabasz et al.,
// arXiv:1803.10986, on the choice of points). Every output is computed from its own tile alone, its
// channels in order, so how tiles are grouped changes no bit.
#pragma once

#include <cstdint>

namespace pare::cpu {

struct Winograd {
  int64_t height = 0, width = 0, channels = 0;              // of an input image
  int64_t out_height = 0, out_width = 0, out_channels = 0;  // of an output image
  int64_t padding = 0;
  const float* filters = nullptr;  // [36][ceil(out_channels / lanes)][channels][lanes]
  const float* bias = nullptr;
  bool relu = false;

  int64_t tile_rows() const { return (out_height + 3) / 4; }
  int64_t tile_columns() const { return (out_width + 3) / 4; }
  int64_t tiles() const { return tile_rows() * tile_columns(); }  // of an image
};

struct WinogradTiles {
  const float* x = nullptr;
  const float* residual = nullptr;  // lies as y does; or null
  float* y = nullptr;
  int64_t first = 0, last = 0;  // tiles, numbered through all images
  float* scratch = nullptr;     // scratch_floats(), 64-byte aligned
};

struct WinogradKernel {
  int lanes;
  int64_t (*scratch_floats)(const Winograd&);
  void (*run)(const Winograd&, const WinogradTiles&);
};

// G w G' of one 3x3 filter, in double precision: 36 numbers.
void winograd_filter(const float* w, double* u);

}  // namespace pare::cpu
