// Filters (oihw) as an operand of products: packed into scratch once a product, a row for each
// output (channel) with its depth (a, b, c) in order, so that the product reads 16 bytes at a time
// and divides nothing. Rows end in zeros up to a whole vector.
#pragma once

#include "cuda/host.h"
#include "cuda/operands.h"

namespace pare::cuda {

// Element (row, (a, b, c)) is w[group group_step + row row_step + first + a tap_step_h + b
// tap_step_w
// + c channel_step].
template <class T>
struct Filters {
  const T* w;
  int64_t group_step, row_step, channel_step;
  int rows, depth, first, tap_step_h, tap_step_w;
  Divisor channels, taps_w;

  PARE_DEVICE T at(int group, int row, int k) const {
    if (k >= depth) return T(0);
    const int tap = channels.quotient(k), c = k - tap * channels.value;
    const int a = taps_w.quotient(tap), b = tap - a * taps_w.value;
    return w[group * group_step + row * row_step + first + a * tap_step_h + b * tap_step_w +
             c * channel_step];
  }
};

template <class T>
PARE_KERNEL void pack_filters_kernel(Filters<T> filters, T* packed, Divisor line) {
  const int64_t i = int64_t(block_x()) * threads_per_block + thread_x();
  const int64_t row = line.divide(i);
  if (row >= filters.rows) return;
  packed[block_y() * int64_t(filters.rows) * line.value + i] =
      filters.at(block_y(), int(row), int(i - row * line.value));
}

template <class T>
auto packed_filters(const Filters<T>& filters, int64_t groups) {
  constexpr int width = std::is_same_v<T, float> ? 4 : 1;
  const int64_t line = ceil_div(filters.depth, width) * width, size = filters.rows * line;
  T* packed = scratch<T>(groups * size);
  launch(pack_filters_kernel<T>, Dim(ceil_div(size, threads_per_block), groups), threads_per_block,
         0, stream(), filters, packed, Divisor(line));
  return Matrix<T, false, width>{packed, line, filters.rows, int(line), size};
}

}  // namespace pare::cuda
