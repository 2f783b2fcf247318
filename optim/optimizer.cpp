#include "optim/optimizer.h"

#include <cmath>

#include "core/error.h"
#include "core/fetch.h"

namespace pare {

Optimizer::Optimizer(NamedParams params, double rate) : params_(std::move(params)), rate_(rate) {
  check(std::isfinite(rate) && rate >= 0, "learning rate {}, expected a number of at least 0",
        rate);
  if (!params_.empty())
    verdict_ = Tensor::zeros({2}, DType::f64, params_[0].second.value().device());
}

void Optimizer::set_clip(double norm) {
  check(norm >= 0, "clip {}, expected a norm of at least 0 (0: none)", norm);
  clip_ = norm;
}

void Optimizer::make_state(std::initializer_list<const char*> slots) {
  for (auto& [name, param] : params_) {
    ParamState& s = param.inner();
    if (!s.grad.defined())
      s.grad = Tensor::empty(s.value.shape(), s.value.dtype(), s.value.format(), s.value.device());
    for (const char* slot : slots) param.slot(slot);
  }
}

namespace {
TensorArg mask_of(const Param& p) {
  const ParamState& s = p.inner();
  return s.mask_kind == MaskKind::frozen ? tensor_arg(s.mask) : TensorArg{};
}
}  // namespace

void Optimizer::run(const Kernel& kernel, const Attrs& attrs) {
  KernelArgs args;
  args.inputs = inputs_.data();
  args.input_count = int(inputs_.size());
  args.outputs = outputs_.data();
  args.output_count = int(outputs_.size());
  args.attrs = &attrs;
  kernel(verdict_.device(), args);
}

void Optimizer::run_update(const UpdateKernels& kernels, std::span<const Param> group,
                           std::initializer_list<const char*> slots, const Attrs& attrs) {
  const auto begin = [&] {
    inputs_.assign(1, tensor_arg(verdict_));
    outputs_.clear();
  };
  const auto add = [&](Param p) {
    p.will_step();
    inputs_.push_back(mask_of(p));
    outputs_.push_back(tensor_arg(p.inner().value));
    outputs_.push_back(tensor_arg(p.grad()));
    for (const char* slot : slots) outputs_.push_back(tensor_arg(p.slot(slot)));
  };
  for (const Param& p : group) {
    const Tensor pattern = p.pattern_of_grad();
    if (!pattern.defined()) continue;
    begin();
    add(p);
    inputs_.push_back(tensor_arg(pattern));
    run(kernels.kept, attrs);
  }
  begin();
  for (const Param& p : group)
    if (!p.pattern_of_grad().defined()) add(p);
  if (!outputs_.empty()) run(kernels.all, attrs);
}

void Optimizer::queue_step(const Tensor& loss, double most_loss) {
  static const Kernel check_gradients("check_gradients");
  stepped_.clear();
  inputs_.assign(1, tensor_arg(loss));
  outputs_.assign(1, tensor_arg(verdict_));
  for (size_t i = 0; i < params_.size(); ++i) {
    Param& p = params_[i].second;
    if (!p.has_grad()) continue;
    stepped_.push_back(i);
    inputs_.push_back(mask_of(p));
    outputs_.push_back(tensor_arg(p.grad()));
    ++p.inner().steps;
    p.clear_grad();
  }
  if (stepped_.empty()) return;
  run(check_gradients, Attrs().set("most", most_loss).set("clip", clip_));
  // One call for all parameters that take the same constants.
  todo_ = stepped_;
  while (!todo_.empty()) {
    const ParamState& first = params_[todo_[0]].second.inner();
    group_.clear();
    std::erase_if(todo_, [&](size_t i) {
      const ParamState& s = params_[i].second.inner();
      if (s.steps != first.steps || s.decay != first.decay) return false;
      group_.push_back(params_[i].second);
      return true;
    });
    update(group_);
  }
}

bool Optimizer::settle(double code) {
  if (code == 0) return true;
  for (const size_t i : stepped_) --params_[i].second.state().steps;
  verdict_.fill(0);
  if (code < 0) return false;
  fail(ErrorCode::diverged,
       "training diverged: the gradient of '{}' is not finite; the weights are as before this "
       "step. Lower the learning rate ({}) or clip the gradients",
       params_[stepped_[size_t(code) - 1]].first, rate_);
}

void Optimizer::step() {
  queue_step();
  if (stepped_.empty()) return;
  double verdict[2];
  try {
    fetch({&verdict_, 1}, verdict);
  } catch (...) {
    settle(-1);  // a kernel before found its data wrong; the gradients are NaN then
    throw;
  }
  settle(verdict[1]);
}

Sgd::Sgd(NamedParams params, const SgdOptions& options)
    : Optimizer(std::move(params), options.rate), options_(options) {
  check(options.momentum >= 0 && options.momentum < 1 && options.weight_decay >= 0,
        "sgd: momentum {}, weight decay {}; expected momentum in [0, 1) and decay of at least 0",
        options.momentum, options.weight_decay);
  if (options.momentum > 0)
    make_state({"momentum"});
  else
    make_state({});
}

void Sgd::update(std::span<const Param> group) {
  static const UpdateKernels kernels{Kernel("sgd.step"), Kernel("sgd.step_kept")};
  const Attrs attrs = Attrs()
                          .set("rate", rate())
                          .set("momentum", options_.momentum)
                          .set("decay", group[0].inner().decay ? options_.weight_decay : 0.0)
                          .set("nesterov", options_.nesterov);
  if (options_.momentum > 0)
    run_update(kernels, group, {"momentum"}, attrs);
  else
    run_update(kernels, group, {}, attrs);
}

Adam::Adam(NamedParams params, const AdamOptions& options)
    : Optimizer(std::move(params), options.rate), options_(options) {
  check(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1 &&
            options.epsilon > 0 && options.weight_decay >= 0,
        "adam: betas {} and {}, epsilon {}, weight decay {}; expected betas in [0, 1), epsilon "
        "above 0, decay of at least 0",
        options.beta1, options.beta2, options.epsilon, options.weight_decay);
  make_state({"m", "v"});
}

void Adam::update(std::span<const Param> group) {
  static const UpdateKernels kernels{Kernel("adam.step"), Kernel("adam.step_kept")};
  const ParamState& s = group[0].inner();
  const double t = double(s.steps), decay = s.decay ? options_.weight_decay : 0.0;
  run_update(kernels, group, {"m", "v"},
             Attrs()
                 .set("decay", options_.decoupled ? 0.0 : decay)
                 .set("shrink", options_.decoupled ? 1 - rate() * decay : 1.0)
                 .set("beta1", options_.beta1)
                 .set("beta2", options_.beta2)
                 .set("step_size", rate() / (1 - std::pow(options_.beta1, t)))
                 .set("root", std::sqrt(1 - std::pow(options_.beta2, t)))
                 .set("epsilon", options_.epsilon));
}

std::unique_ptr<Optimizer> make_optimizer(NamedParams params, const OptimizerOptions& o) {
  static constexpr std::string_view known[] = {"sgd", "nesterov", "adam", "adamw"};
  std::unique_ptr<Optimizer> made;
  if (o.name == "sgd" || o.name == "nesterov")
    made = std::make_unique<Sgd>(std::move(params), SgdOptions{.rate = o.rate,
                                                               .momentum = o.momentum,
                                                               .weight_decay = o.weight_decay,
                                                               .nesterov = o.name == "nesterov"});
  else if (o.name == "adam" || o.name == "adamw")
    made = std::make_unique<Adam>(std::move(params), AdamOptions{.rate = o.rate,
                                                                 .weight_decay = o.weight_decay,
                                                                 .decoupled = o.name == "adamw"});
  else
    fail(ErrorCode::usage, "'{}' is no optimizer{}", o.name,
         suggest(o.name, known, std::size(known)));
  made->set_clip(o.clip);
  return made;
}

}  // namespace pare
