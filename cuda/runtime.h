// What a GPU, and its emulation, offer to the backend: memory, copies, waiting.
#pragma once

#include "core/backend.h"

namespace pare::cuda {

// Finds the device; false with `why` (error_length bytes) where it cannot be used.
bool start_device(DeviceProperties& properties, char* why);
// Fills in name, memory, copies and hooks of the table.
void describe_backend(Backend& backend);

}  // namespace pare::cuda
