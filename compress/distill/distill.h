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
// Distills `teacher`, which stays as it is, into `student`: both must agree (check_teacher). Each
// sees the picture as its own model file says: a batch that was preprocessed for the student is
// brought to the teacher's preprocessing, unless they are the same. `student` says how images are
// preprocessed once a Trainer was made for it; a teacher that says nothing takes the student's
// batches. Works on the teacher's device, where the student should be.
//
//   trainer.set_loss(distillation_loss(teacher, student, {.temperature = 4}), true);
LossFn distillation_loss(Graph& teacher, const Graph& student, const DistillOptions& options);

// Anything that gives logits for images preprocessed for the student: a plan, a cache, an ensemble.
using Teacher = std::function<Tensor(const Tensor& images)>;

//   alpha CE(student, labels) + (1 - alpha) T^2 KL(softmax(t / T) || softmax(s / T))
// (Hinton, Vinyals and Dean 2015). The teacher runs outside the tape. Throws Error{usage} for
// options out of range.
LossFn distillation_loss(Teacher teacher, const DistillOptions& options);

// `teacher` as a function of batches preprocessed as `student` says, whose images are of its data's
// kind. Throws Error{bad_input} where the pixels of one cannot be turned into those of the other.
// So does the function, naming the layer, where the teacher's answers are not finite: it looks at
// every one on the CPU, and elsewhere, where looking takes a wait, at the first.
Teacher teacher_for(Graph& teacher, const Graph& student);

// Throws Error{bad_input} unless both take the same images and have the same classes.
void check_teacher(const Graph& teacher, const Graph& student);

}  // namespace pare
