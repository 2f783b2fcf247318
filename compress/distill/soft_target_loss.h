// Soft targets (Hinton, Vinyals and Dean 2015): a student learns the teacher's probabilities.
#pragma once

#include "autograd/op.h"

namespace pare {

// T^2 KL(softmax(teacher / T) || softmax(student / T)), summed over classes, mean over the batch;
// T^2 keeps the gradient's size as T grows. Both [n,classes] float; the teacher gets no gradient.
// Throws Error{usage} unless T > 0.
Tensor soft_target_loss(const Tensor& student, const Tensor& teacher, double temperature);

}  // namespace pare
