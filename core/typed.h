// Calls generic code with the C++ type of a tensor's elements.
#pragma once

#include "core/backend.h"

namespace pare {

// f(T{}) for f32 and f64; other types are not supported by the kernel.
template <class F>
Status for_float(DType dtype, F&& f) {
  if (dtype == DType::f32)
    f(float{});
  else if (dtype == DType::f64)
    f(double{});
  else
    return Status::unsupported;
  return Status::ok;
}

}  // namespace pare
