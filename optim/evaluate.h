// Accuracy and loss of a network on labelled images.
#pragma once

#include "autograd/module.h"
#include "core/error.h"
#include "datasets/dataset.h"

namespace pare {

struct Evaluation {
  int64_t examples = 0;
  double accuracy = 0;  // share of examples whose largest logit is the label's
  double loss = 0;      // mean cross-entropy
  double seconds = 0;
};

// Evaluation mode, `batch` images at a time. Throws Error{bad_input} where there are no examples, a
// label is none of the network's classes, or the preprocessing cannot be meant for these images
// (check_pixels) or is not what a graph says of itself (fit_data gives data with the one that is);
// Error{not_finite} that names the layer where the network has parameters, or gives answers, that
// are not finite (autograd/blame.h).
Evaluation evaluate(Module& network, const Examples& examples, const Preprocessing& preprocessing,
                    int64_t batch = 250, ErrorCode not_finite = ErrorCode::bad_input);

// How many rows of logits [n,classes] are largest (the first of equals) at the label, i32 [n]: one
// element, f64, on the device of the logits; NaN where a logit is not finite. fetch() reads it
// together with other results.
Tensor count_correct(const Tensor& logits, const Tensor& labels);

}  // namespace pare
