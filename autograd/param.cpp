#include "autograd/param.h"

#include <algorithm>
#include <cstring>

#include "autograd/tape.h"
#include "core/sparse_pattern.h"
#include "core/tensor_arg.h"

namespace pare {
namespace {

// t = 0 where the mask is 0. Multiplying would keep NaN and -0.
void mask_tensor(const Tensor& t, const Tensor& mask) {
  if (!t.defined()) return;
  static const Kernel kernel("zero_masked");
  const TensorArg in = tensor_arg(mask.in_format(t.format())), out = tensor_arg(t);
  KernelArgs args;
  args.inputs = &in;
  args.outputs = &out;
  args.input_count = args.output_count = 1;
  kernel(t.device(), args);
}

}  // namespace

Tensor Param::operator()() const {
  ParamState& s = *state_;
  check(s.value.defined(),
        "a parameter has no value yet; give it one where its layer is made, then initialize()");
  auto* book = dynamic_cast<ParamBook*>(current_recorder());
  if (book && s.run == book->run()) return s.in_run;
  if (book) s.in_run = Tensor();
  uphold_mask(book && !book->folds_transforms());
  if (!book && s.transforms.empty() && s.mask_kind != MaskKind::soft) return s.value;
  Tensor t = s.value;
  t.set_ref({});
  if (book) t = book->bind(*this);
  if (!s.transforms.empty() || s.mask_kind == MaskKind::soft) {
    // Captured graphs keep the transform on the parameter, so nothing of it is recorded there.
    const bool fold = book && book->folds_transforms();
    const ValueRef ref = t.ref();
    const RecorderScope scope(!book || fold ? nullptr : current_recorder());
    if (s.mask_kind == MaskKind::soft) t = masked(t, s.mask);
    for (const auto& transform : s.transforms) t = (*transform)(t);
    if (fold) t.set_ref(ref);
  }
  if (book) {
    s.run = book->run();
    s.in_run = t;
  }
  return t;
}

void Param::set_mask(const Tensor& mask, MaskKind kind) {
  check(mask.shape() == value().shape() && mask.dtype() == DType::u8,
        "mask is {} {}, the parameter needs u8 {}", mask.dtype(), mask.shape(), value().shape());
  state_->mask = mask;
  state_->mask_kind = kind;
  state_->kept_grad = nullptr;
  apply_mask();
}

void Param::apply_mask() {
  ParamState& s = *state_;
  if (s.mask_kind != MaskKind::frozen) return;
  mask_tensor(s.value, s.mask);
  mask_tensor(s.grad, s.mask);
  for (auto& [name, slot] : s.slots)
    if (slot.shape() == s.value.shape()) mask_tensor(slot, s.mask);
}

void Param::uphold_mask(bool in_training) const {
  ParamState& s = *state_;
  if (s.mask_kind != MaskKind::frozen || !s.value.defined()) return;
  const bool zeros = in_training && std::exchange(s.stepped, false) &&
                     !s.exposed.load(std::memory_order_relaxed) && s.value.unique() &&
                     s.mask.unique();
  if (!zeros) mask_tensor(s.value, s.mask);
  if (!in_training) s.exposed.store(true, std::memory_order_relaxed);
}

void Param::will_step() const {
  ParamState& s = *state_;
  if (s.mask_kind != MaskKind::frozen) return;
  if (s.exposed.exchange(false, std::memory_order_relaxed)) mask_tensor(s.value, s.mask);
  s.stepped = true;
}

Tensor Param::masked_value() const {
  uphold_mask();
  const ParamState& s = *state_;
  if (s.mask_kind != MaskKind::soft) return s.value;
  const RecorderScope off(nullptr);
  return masked(s.value, s.mask);
}

Tensor Param::pattern() const {
  ParamState& s = *state_;
  if (s.mask_kind != MaskKind::frozen || s.mask.rank() != 2 || s.value.dtype() != DType::f32 ||
      s.mask.device().type != DeviceType::cpu || !s.transforms.empty())
    return {};
  constexpr int64_t worth_it = 4096;
  const int64_t n = s.mask.elements();
  const uint8_t* keep = s.mask.data<uint8_t>();
  if (n < worth_it) return {};
  // Whoever wrote into the mask need not have told.
  const bool known = s.pattern_mask.defined() && s.pattern_mask.shape() == s.mask.shape() &&
                     std::memcmp(s.pattern_mask.raw(), keep, size_t(n)) == 0;
  if (!known) {
    s.pattern_mask = s.mask.clone();
    s.kept_grad = nullptr;
    const int64_t zeros = std::count(keep, keep + n, uint8_t(0));
    s.pattern = 10 * zeros >= 8 * n ? make_pattern(s.mask) : Tensor();
  }
  return s.pattern;
}

Tensor Param::pattern_of_grad() const {
  const ParamState& s = *state_;
  return s.grad.defined() && s.kept_grad == s.grad.raw() ? s.pattern : Tensor();
}

Tensor& Param::slot(const std::string& name) {
  for (auto& [known, tensor] : state_->slots)
    if (known == name) return tensor;
  const Tensor& v = state_->value;
  state_->slots.emplace_back(name, Tensor::zeros(v.shape(), v.dtype(), v.device()));
  return state_->slots.back().second;
}

Param Param::clone() const {
  Param copy;
  ParamState& s = *copy.state_;
  uphold_mask();
  s.value = defined() ? state_->value.clone() : Tensor();
  s.decay = state_->decay;
  s.mask = state_->mask.defined() ? state_->mask.clone() : Tensor();
  s.mask_kind = state_->mask_kind;
  for (const auto& [name, slot] : state_->slots) s.slots.emplace_back(name, slot.clone());
  s.steps = state_->steps;
  for (const auto& t : state_->transforms) s.transforms.push_back(t->clone());
  return copy;
}

}  // namespace pare
