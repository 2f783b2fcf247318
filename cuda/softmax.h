// What softmax and the losses share: a warp works on one row.
#pragma once

#include "core/math.h"
#include "cuda/device.h"

namespace pare::cuda {

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
