// Blame: where the numbers of a network stop being finite. An answer that is not finite is no
// answer: whoever reads one looks at it, and asks here only once it is known to be wrong.
#pragma once

#include <string>

#include "autograd/module.h"
#include "core/error.h"

namespace pare {

// Whether every element is a finite number, as integers are. Waits for the tensor's device.
bool all_finite(const Tensor& tensor);

// The first parameter that holds, as its mask leaves it, a value that is not finite, or the first
// buffer that holds NaN or, of a batch norm, an infinite value; "" where there is none.
std::string not_finite_in(Module& network);

// What makes `network` answer `x` with numbers that are not finite, as the end of a sentence: the
// layer whose output is the first such, or else the largest; a parameter or the input itself. Runs
// the network; in Mode::train that changes its buffers.
std::string blame(Module& network, const Tensor& x, Mode mode = Mode::eval);

// Throws Error{code} where not_finite_in() finds one; `who` begins the sentence.
void check_parameters(Module& network, const char* who = "the network",
                      ErrorCode code = ErrorCode::bad_input);

// Throws Error{code} with that sentence where `answer`, which `network` gave to `x` in evaluation
// mode, is not finite. Waits for its device. `who` begins the sentence: "the network", "the
// teacher".
void check_answer(Module& network, const Tensor& x, const Tensor& answer,
                  const char* who = "the network", ErrorCode code = ErrorCode::bad_input);

}  // namespace pare
