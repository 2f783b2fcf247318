// gradcheck: compares an op's or a module's gradients with central differences in double precision.
#pragma once

#include <functional>
#include <vector>

#include "core/tensor.h"

namespace pare {

struct GradcheckOptions {
  double step = 1e-6;         // times max(1, |x|)
  double relative = 1e-6;     // of the larger gradient
  double absolute = 1e-9;     // what rounding of the differences itself can leave
  int64_t max_elements = 64;  // per input; further ones are skipped at a fixed stride
};

// f maps f64 tensors to one tensor, which is reduced by a fixed random weighting. Throws Error
// naming the input, the element, the analytic and the numeric gradient when they disagree.
void gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f,
               const std::vector<Tensor>& inputs, const GradcheckOptions& options = {});

}  // namespace pare
