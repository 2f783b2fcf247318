// The devices that CUDA kernels run on here: the emulated one, and a GPU where there is one.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/backend.h"
#include "core/device.h"
#include "core/tensor.h"
#include "cuda/small_floats.h"

namespace pare::testing {

// $PARE_TEST_DEVICES names those to test, separated by commas: one that is absent is an error, so
// that a run on a GPU cannot be green for want of one.
inline std::vector<Device> cuda_devices() {
  std::vector<Device> present;
  if (const char* list = std::getenv("PARE_TEST_DEVICES")) {
    for (std::string_view rest = list; !rest.empty();) {
      const size_t end = std::min(rest.find(','), rest.size());
      const Device device = select_device(rest.substr(0, end));
      if (device.type != DeviceType::cpu) present.push_back(device);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return present;
  }
  for (const DeviceState& state : list_devices())
    if (state.present && state.device.type != DeviceType::cpu) present.push_back(state.device);
  return present;
}
inline bool tests_device(DeviceType type) {
  for (const Device device : cuda_devices())
    if (device.type == type) return true;
  return false;
}

// Whether a library of the maker computes dense layers there: it rounds, flushes and treats NaN as
// it likes.
inline bool vendor_products(Device device) {
  return backend_of(device).properties.products[0] != 0;
}

// Those whose products know tf32 and bf16.
inline bool has_tensor_cores(Device device) {
  return backend_of(device).properties.capability >= 80;
}
inline std::vector<Precision> precisions_of(Device device) {
  if (!has_tensor_cores(device)) return {Precision::fp32};
  return {Precision::fp32, Precision::tf32, Precision::bf16};
}

// What products make of a factor.
inline double rounded(double x, Precision precision) {
  const auto f = float(x);
  if (precision == Precision::tf32) return double(std::bit_cast<float>(cuda::to_tf32(f)));
  return precision == Precision::bf16 ? double(float(cuda::BFloat16(f))) : double(f);
}
inline Tensor rounded(const Tensor& x, Precision precision) {
  std::vector<double> v = x.to_vector<double>();
  for (double& e : v) e = rounded(e, precision);
  return Tensor::from(v, x.shape());
}

}  // namespace pare::testing
