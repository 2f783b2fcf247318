#include "core/random.h"

#include <cmath>

namespace pare {

double Rng::normal() {
  const double u1 = (double(next_u32()) + 0.5) * 0x1p-32;
  const double u2 = (double(next_u32()) + 0.5) * 0x1p-32;
  return std::sqrt(-2.0 * std::log(u1)) * std::cos(6.283185307179586476925 * u2);
}

}  // namespace pare
