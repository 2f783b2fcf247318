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

// inputs: gradient, mask or nothing; outputs: value and slots.
void run_update(const Kernel& kernel, const Param& param, std::initializer_list<Tensor> slots,
                const Attrs& attrs) {
  const ParamState& s = param.state();
  const TensorArg in[] = {tensor_arg(s.grad),
                          s.mask_kind == MaskKind::frozen ? tensor_arg(s.mask) : TensorArg{}};
  TensorArg out[4] = {tensor_arg(s.value)};
  KernelArgs args;
  args.inputs = in;
  args.input_count = 2;
  args.outputs = out;
  args.output_count = 1;
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

void Optimizer::check_finite() const {
  static const Kernel all_finite("all_finite");
  for (const auto& [name, p] : params_)
    check(!p.has_grad() || reduce<int32_t>(all_finite, p.grad()), ErrorCode::diverged,
          "training diverged: the gradient of '{}' is not finite; the weights are as before this "
          "step. Lower the learning rate ({}) or clip the gradients",
          name, rate_);
}

void Optimizer::clip_gradients() {
  static const Kernel sum_squares("sum_squares"), scale("scale");
  double total = 0;
  for (const auto& [name, p] : params_)
    if (p.has_grad()) total += reduce<double>(sum_squares, p.grad());
  const double norm = std::sqrt(total);
  if (norm <= clip_) return;
  const Attrs attrs = Attrs().set("factor", clip_ / norm);
  for (const auto& [name, p] : params_) {
    if (!p.has_grad()) continue;
    const TensorArg out = tensor_arg(p.grad());
    KernelArgs args;
    args.outputs = &out;
    args.output_count = 1;
    args.attrs = &attrs;
    scale(p.grad().device(), args);
  }
}

void Optimizer::step() {
  check_finite();
  if (clip_ > 0) clip_gradients();
  ++steps_;
  for (auto& [name, p] : params_) {
    if (!p.has_grad()) continue;
    update(p);
    p.clear_grad();
  }
}

Sgd::Sgd(NamedParams params, const SgdOptions& options)
    : Optimizer(std::move(params), options.rate), options_(options) {
  check(options.momentum >= 0 && options.momentum < 1 && options.weight_decay >= 0,
        "sgd: momentum {}, weight decay {}; expected momentum in [0, 1) and decay of at least 0",
        options.momentum, options.weight_decay);
}

void Sgd::update(Param& param) {
  static const Kernel kernel("sgd.step");
  run_update(kernel, param, {param.slot("momentum")},
             Attrs()
                 .set("rate", rate())
                 .set("momentum", options_.momentum)
                 .set("decay", param.state().decay ? options_.weight_decay : 0.0)
                 .set("nesterov", options_.nesterov));
}

Adam::Adam(NamedParams params, const AdamOptions& options)
    : Optimizer(std::move(params), options.rate), options_(options) {
  check(options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 && options.beta2 < 1 &&
            options.epsilon > 0 && options.weight_decay >= 0,
        "adam: betas {} and {}, epsilon {}, weight decay {}; expected betas in [0, 1), epsilon "
        "above 0, decay of at least 0",
        options.beta1, options.beta2, options.epsilon, options.weight_decay);
}

void Adam::update(Param& param) {
  static const Kernel kernel("adam.step");
  run_update(kernel, param, {param.slot("m"), param.slot("v")},
             Attrs()
                 .set("rate", rate())
                 .set("beta1", options_.beta1)
                 .set("beta2", options_.beta2)
                 .set("epsilon", options_.epsilon)
                 .set("decay", param.state().decay ? options_.weight_decay : 0.0)
                 .set("decoupled", options_.decoupled)
                 .set("correction1", 1 - std::pow(options_.beta1, double(steps())))
                 .set("correction2", 1 - std::pow(options_.beta2, double(steps()))));
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
