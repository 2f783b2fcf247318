// Distillation: a student learns from labels and from a teacher's soft targets.
#pragma once

#include <functional>

#include "autograd/graph.h"
#include "optim/trainer.h"

namespace pare {

struct DistillOptions {
  double alpha = 0.1;      // weight of the true labels, 0..1
  double temperature = 4;  // above 0
};
// Anything that gives logits for preprocessed images: a graph, a plan, a cache.
using Teacher = std::function<Tensor(const Tensor& images)>;

//   alpha CE(student, labels) + (1 - alpha) T^2 KL(softmax(t / T) || softmax(s / T))
// (Hinton, Vinyals and Dean 2015). The teacher runs outside the tape. Throws Error{usage} for
// options out of range.
LossFn distillation_loss(Teacher teacher, const DistillOptions& options);

// Throws Error{bad_input} unless both take the same images and have the same classes.
void check_teacher(const Graph& teacher, const Graph& student);

}  // namespace pare
