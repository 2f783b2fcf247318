#include "optim/optimizer.h"

#include <cmath>

#include "core/error.h"
#include "core/tensor_arg.h"

namespace pare {
namespace {

// Runs a kernel that reduces `x` to one number of type T on the host.
template <class T>
T reduce(const Kernel& kernel, const Tensor& x) {
  const TensorArg in = tensor_arg(x);
  T answer{};
  TensorArg out;
  out.data = &answer;
  KernelArgs args;
  args.inputs = &in;
  args.outputs = &out;
  args.input_count = args.output_count = 1;
  kernel(x.device(), args);
  return answer;
}

// inputs: mask or nothing; outputs: value, gradient, slots.
void run_update(const Kernel& kernel, const Param& param, std::initializer_list<Tensor> slots,
                const Attrs& attrs) {
  const ParamState& s = param.state();
  const TensorArg in = s.mask_kind == MaskKind::frozen ? tensor_arg(s.mask) : TensorArg{};
  TensorArg out[4] = {tensor_arg(s.value), tensor_arg(s.grad)};
  KernelArgs args;
  args.inputs = &in;
  args.input_count = 1;
  args.outputs = out;
  args.output_count = 2;
  for (const Tensor& slot : slots) out[args.output_count++] = tensor_arg(slot);
  args.attrs = &attrs;
  kernel(s.value.device(), args);
}

}  // namespace

Optimizer::Optimizer(NamedParams params, double rate) : params_(std::move(params)), rate_(rate) {
  check(std::isfinite(rate) && rate >= 0, "learning rate {}, expected a number of at least 0",
        rate);
}

void Optimizer::set_clip(double norm) {
  check(norm >= 0, "clip {}, expected a norm of at least 0 (0: none)", norm);
  clip_ = norm;
}

void Optimizer::make_state(std::initializer_list<const char*> slots) {
  for (auto& [name, param] : params_) {
    ParamState& s = param.state();
    if (!s.grad.defined())
      s.grad = Tensor::empty(s.value.shape(), s.value.dtype(), s.value.format(), s.value.device());
    for (const char* slot : slots) param.slot(slot);
  }
}

void Optimizer::check_finite() {
  static const Kernel all_finite("all_finite");
  for (const auto& [name, p] : params_) {
    if (!p.has_grad() || reduce<int32_t>(all_finite, p.grad())) continue;
    for (auto& [other, q] : params_) q.clear_grad();
    fail(ErrorCode::diverged,
         "training diverged: the gradient of '{}' is not finite; the weights are as before this "
         "step. Lower the learning rate ({}) or clip the gradients",
         name, rate_);
  }
}

double Optimizer::clip_scale() const {
  static const Kernel sum_of_squares("sum_of_squares");
  double total = 0;
  for (const auto& [name, p] : params_) {
    if (!p.has_grad()) continue;
    p.mask_gradient();  // what no step will follow does not count
    total += reduce<double>(sum_of_squares, p.grad());
  }
  const double norm = std::sqrt(total);
  return norm > clip_ ? clip_ / norm : 1;
}

void Optimizer::step() {
  check_finite();
  const double scale = clip_ > 0 ? clip_scale() : 1;
  for (auto& [name, p] : params_) {
    if (!p.has_grad()) continue;
    ++p.state().steps;
    update(p, scale);
    p.clear_grad();
  }
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

void Sgd::update(Param& param, double scale) {
  static const Kernel kernel("sgd.step");
  const Attrs attrs = Attrs()
                          .set("scale", scale)
                          .set("rate", rate())
                          .set("momentum", options_.momentum)
                          .set("decay", param.state().decay ? options_.weight_decay : 0.0)
                          .set("nesterov", options_.nesterov);
  if (options_.momentum > 0)
    run_update(kernel, param, {param.slot("momentum")}, attrs);
  else
    run_update(kernel, param, {}, attrs);
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

void Adam::update(Param& param, double scale) {
  static const Kernel kernel("adam.step");
  const ParamState& s = param.state();
  const double t = double(s.steps), decay = s.decay ? options_.weight_decay : 0.0;
  run_update(kernel, param, {param.slot("m"), param.slot("v")},
             Attrs()
                 .set("scale", scale)
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
