// Devices by name, and the plug-ins that bring them.
//
// The CPU is built in. Every other device comes from a shared library that exports `pare_backend`
// (core/backend.h): libpare_cuda.so, libpare_cuda_emulated.so. It is looked for in the folders of
// $PARE_PLUGIN_PATH (separated by colons), then beside the program or library that holds this code
// and in the lib folder next to that.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/shape.h"

namespace pare {

struct DeviceState {
  Device device;
  bool present = false;
  std::string description;  // what it is; where it is absent, why and what to do
  std::string plugin;       // the file that brings it; "" where none was found, and of the CPU
};

// Loads the plug-in of a device on first use and says what came of it.
const DeviceState& probe_device(DeviceType type);
std::vector<DeviceState> list_devices();
// What a device's plug-in tells besides, by name: versions, free memory, why a library is missing.
// Asked anew at each call; also where the device cannot be used. Empty where nothing is told.
std::vector<std::pair<std::string, std::string>> device_facts(DeviceType type);

// The device called `name`: cpu, cuda, cuda-emulated, or auto: cuda where it is present, else the
// CPU. cuda:1 is the second GPU of those that CUDA_VISIBLE_DEVICES lets this process see; a process
// works on one GPU, so another than the first that was asked for throws Error{device}. `reason`
// says in one line what was chosen and why. A device asked for by name that is not there throws
// Error{device}; an unknown name throws Error{usage}.
Device select_device(std::string_view name, std::string* reason = nullptr);

}  // namespace pare
