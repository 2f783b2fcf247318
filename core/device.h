// Devices by name, and the plug-ins that bring them.
//
// The CPU is built in. Every other device comes from a shared library that exports `pare_backend`
// (core/backend.h): libpare_cuda.so, libpare_cuda_emulated.so. It is looked for in the folders of
// $PARE_PLUGIN_PATH (separated by colons), then beside the program or library that holds this code
// and in the lib folder next to that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace pare {

struct DeviceState {
  Device device;
  bool present = false;
  std::string description;  // what it is; where it is absent, why and what to do
};

// Loads the plug-in of a device on first use and says what came of it.
const DeviceState& probe_device(DeviceType type);
std::vector<DeviceState> list_devices();

// The device called `name`: cpu, cuda, cuda-emulated, or auto: cuda where it is present, else the
// CPU. `reason` says in one line what was chosen and why. A device asked for by name that is not
// there throws Error{device}; an unknown name throws Error{usage}.
Device select_device(std::string_view name, std::string* reason = nullptr);

}  // namespace pare
