// Matrices whose rows are each the work of one warp; and the sum that softmax and the losses share.
#pragma once

#include "core/math.h"
#include "cuda/device.h"
#include "cuda/host.h"

namespace pare::cuda {

// Calls f(row) for the rows of the running warp, all lanes together.
template <class F>
PARE_DEVICE inline void over_rows(int64_t n, F&& f) {
  for (int64_t row = int64_t(block_x()) * warps_per_block + warp(); row < n;
       row += int64_t(grid_width()) * warps_per_block)
    f(row);
}
template <class... Params, class... Args>
void launch_over_rows(void (*kernel)(Params...), const Items& rows, Args&&... args) {
  launch(kernel, rows.grid(blocks_for(rows.count * warp_size)), threads_per_block, 0, stream(),
         std::forward<Args>(args)...);
}

template <class T>
struct LogSum {
  T top;  // the largest element
  T sum;  // of exp((x - top) / temperature)
  T log_of_sum;
};

// Of one row of n elements, in every lane.
template <class T>
PARE_DEVICE inline LogSum<T> log_sum(const T* row, int64_t n, T temperature) {
  T top = T(-HUGE_VAL), sum = T(0);
  for (int64_t j = lane(); j < n; j += warp_size) top = row[j] > top ? row[j] : top;
  top = warp_max(top);
  for (int64_t j = lane(); j < n; j += warp_size) sum += math::exp((row[j] - top) / temperature);
  sum = warp_sum(sum);
  return {top, sum, math::log(sum)};
}

}  // namespace pare::cuda
