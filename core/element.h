// The element types of tensors as C++ types.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "core/math.h"
#include "core/shape.h"

namespace pare {

// Calls `f` with a value of the C++ type of `dtype`.
template <class F>
auto with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::i8:
      return f(int8_t{});
    default:
      return f(uint8_t{});
  }
}

// Float to integer rounds half to even; the value must fit.
template <class To, class From>
PARE_HD To convert_value(From v) {
  if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>)
    return To(nearbyint(v));
  else
    return To(v);
}

}  // namespace pare
