// The devices that CUDA kernels run on here: the emulated one, and a GPU where there is one.
#pragma once

#include <bit>
#include <vector>

#include "core/backend.h"
#include "core/device.h"
#include "core/tensor.h"
#include "cuda/small_floats.h"

namespace pare::testing {

inline std::vector<Device> cuda_devices() {
  std::vector<Device> present;
  for (const DeviceState& state : list_devices())
    if (state.present && state.device.type != DeviceType::cpu) present.push_back(state.device);
  return present;
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
