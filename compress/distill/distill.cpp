#include "compress/distill/distill.h"

#include <cmath>
#include <utility>

#include "autograd/blame.h"
#include "autograd/ops.h"
#include "compress/distill/soft_target_loss.h"
#include "optim/model_facts.h"

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

namespace {

// Per channel x * factor + offset, from batches normalized for the student to the teacher's.
struct ChannelMap {
  Tensor factor, offset;  // 1,C,1,1; undefined: nothing to do
};

ChannelMap map_between(const Preprocessing& student, const Preprocessing& teacher,
                       int64_t channels) {
  std::vector<float> factor, offset;
  bool same = true;
  for (int64_t c = 0; c < channels; ++c) {
    const auto [a, b] = student.affine(c);
    const auto [x, y] = teacher.affine(c);
    same = same && a == x && b == y;
    const double f = double(x) / double(a);
    factor.push_back(float(f));
    offset.push_back(float(double(y) - double(b) * f));
    check(
        std::isfinite(factor.back()) && std::isfinite(offset.back()), ErrorCode::bad_input,
        "channel {}: a batch preprocessed for the student (scale {}) cannot be turned into one for "
        "the teacher (scale {})",
        c, student.scale, teacher.scale);
  }
  if (same) return {};
  return {Tensor::from(factor, {1, channels, 1, 1}), Tensor::from(offset, {1, channels, 1, 1})};
}

// The network in evaluation mode; see teacher_for for what it looks at.
Teacher ask(std::shared_ptr<Graph> network) {
  return [network = std::move(network), looked = false](const Tensor& images) mutable {
    const Tensor answer = (*network)(images, Mode::eval);
    if (answer.device() == Device{} || !std::exchange(looked, true))
      check_answer(*network, images, answer, "the teacher");
    return answer;
  };
}

}  // namespace

Teacher teacher_for(Graph& teacher, const Graph& student) {
  Teacher network = ask(std::make_shared<Graph>(teacher.share()));
  const auto own = preprocessing_of(student), other = preprocessing_for(teacher, student);
  check(own || !preprocessing_of(teacher), ErrorCode::bad_input,
        "the student does not say how its images are preprocessed, the teacher does; make the "
        "student's Trainer first, or describe_model(student, ...)");
  ChannelMap map;
  if (own && other) {
    other->check_channels(own->size[0]);
    map = map_between(*own, *other, own->size[0]);
  }
  if (!map.factor.defined()) return network;
  const Device device = device_of(teacher);
  return [network, factor = map.factor.to(device), offset = map.offset.to(device)](
             const Tensor& images) { return network(add(mul(images, factor), offset)); };
}

LossFn distillation_loss(Graph& teacher, const Graph& student, const DistillOptions& options) {
  check_teacher(teacher, student);
  return distillation_loss(teacher_for(teacher, student), options);
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
  check_class_order(class_names(teacher), class_names(student), "the teacher");
}

}  // namespace pare
