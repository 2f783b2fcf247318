// What a GPU, and its emulation, offer to the backend: memory, copies, waiting.
#pragma once

#include <string>

#include "core/backend.h"

namespace pare::cuda {

// Takes one fact about a device: a name and what holds, in words.
using Tell = void (*)(void* to, const char* name, const char* value);

// Finds the device; false with `why` (error_length bytes) where it cannot be used.
bool start_device(DeviceProperties& properties, char* why);
// Tells versions, memory and what else `pare doctor` wants to know; also of a device that cannot be
// used.
void tell_facts(Tell tell, void* to);
// Why no library of the maker computes products; "" where one does.
std::string vendor_gemm_absence();
// Fills in name, memory, copies and hooks of the table.
void describe_backend(Backend& backend);

}  // namespace pare::cuda
