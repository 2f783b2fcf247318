#include "compress/distill/distill.h"

#include "autograd/ops.h"
#include "compress/distill/soft_target_loss.h"

namespace pare {

LossFn distillation_loss(Teacher teacher, const DistillOptions& o) {
  check(o.alpha >= 0 && o.alpha <= 1 && o.temperature > 0,
        "distillation: alpha {} and temperature {}; expected 0..1 and above 0", o.alpha,
        o.temperature);
  return [teacher = std::move(teacher), o](const Tensor& logits, const Batch& batch) {
    Tensor targets;
    {
      const RecorderScope off(nullptr);
      targets = teacher(batch.images.to(logits.device()));
    }
    const Tensor soft = soft_target_loss(logits, targets, o.temperature);
    const Tensor hard = softmax_cross_entropy(logits, batch.labels.to(logits.device()));
    return add(mul_scalar(hard, o.alpha), mul_scalar(soft, 1 - o.alpha));
  };
}

void check_teacher(const Graph& teacher, const Graph& student) {
  const auto last = [](const Graph& g) {
    const Ints& shape = g.values[size_t(g.outputs.front())].shape;
    return shape.size() ? shape[shape.size() - 1] : 0;
  };
  check(teacher.input_shape(1) == student.input_shape(1), ErrorCode::bad_input,
        "the teacher takes images of {}, the student {}", teacher.input_shape(1),
        student.input_shape(1));
  check(last(teacher) == last(student), ErrorCode::bad_input,
        "the teacher has {} classes, the student {}", last(teacher), last(student));
}

}  // namespace pare
