// Filling device memory with one value.
#pragma once

#include "cuda/device.h"
#include "cuda/host.h"

namespace pare::cuda {

template <class T>
PARE_KERNEL void fill_kernel(T* y, int64_t n, T value) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) y[i] = value;
}
template <class T>
void fill(T* y, int64_t n, T value) {
  launch_over(fill_kernel<T>, n, y, n, value);
}

}  // namespace pare::cuda
