// The devices that CUDA kernels run on here: the emulated one, and a GPU where there is one.
#pragma once

#include <vector>

#include "core/device.h"

namespace pare::testing {

inline std::vector<Device> cuda_devices() {
  std::vector<Device> present;
  for (const DeviceState& state : list_devices())
    if (state.present && state.device.type != DeviceType::cpu) present.push_back(state.device);
  return present;
}

}  // namespace pare::testing
