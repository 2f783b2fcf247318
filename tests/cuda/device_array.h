// Memory of the emulated device for tests that launch kernels themselves.
#pragma once

#include <algorithm>
#include <vector>

#include "cuda/device.h"

namespace pare::testing {

// n elements for the duration of a test.
template <class T>
struct DeviceArray {
  T* p;
  int64_t n;
  explicit DeviceArray(const std::vector<T>& values)
      : p(static_cast<T*>(cuda::emulation::allocate(values.size() * sizeof(T)))),
        n(int64_t(values.size())) {
    std::copy(values.begin(), values.end(), p);
  }
  ~DeviceArray() { cuda::emulation::release(p); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  std::vector<T> values() const { return {p, p + n}; }
};

}  // namespace pare::testing
