// How device code of the host side fails: an exception inside the plug-in, turned into a status at
// its boundary (guarded, cuda/host.h).
#pragma once

#include <stdexcept>
#include <string>

#include "core/backend.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#endif

namespace pare::cuda {

struct Failure : std::runtime_error {
  Failure(Status s, const std::string& text) : std::runtime_error(text), status(s) {}
  Status status;
};

#if defined(__CUDACC__)
// Throws unless `result` is success: what the driver says, and what to do where it is known.
void require(cudaError_t result);
#endif

}  // namespace pare::cuda
