#include "core/random.h"

#include <cmath>

#include "core/math.h"

namespace pare {

double Rng::normal() {
  const double u1 = (double(next_u32()) + 0.5) * 0x1p-32;
  const double u2 = (double(next_u32()) + 0.5) * 0x1p-32;
  return std::sqrt(-2.0 * math::log(u1)) * math::cos_turns(u2);
}

}  // namespace pare
