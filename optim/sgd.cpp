#include "optim/sgd.h"

#include "core/error.h"
#include "core/tensor_arg.h"

namespace pare {

Sgd::Sgd(std::vector<Param> params, const SgdOptions& options)
    : params_(std::move(params)), options_(options) {
  check(options.rate >= 0 && options.momentum >= 0 && options.momentum < 1 &&
            options.weight_decay >= 0,
        "sgd: rate {}, momentum {}, weight decay {}; expected rate and decay >= 0, momentum in [0, "
        "1)",
        options.rate, options.momentum, options.weight_decay);
}

void Sgd::step() {
  static const Kernel finite("all_finite"), update("sgd.step");
  for (size_t i = 0; i < params_.size(); ++i) {
    if (!params_[i].has_grad()) continue;
    const TensorArg g = tensor_arg(params_[i].grad());
    int32_t answer = 0;
    TensorArg out;
    out.data = &answer;
    KernelArgs args;
    args.inputs = &g;
    args.outputs = &out;
    args.input_count = args.output_count = 1;
    finite(params_[i].grad().device(), args);
    check(answer != 0, ErrorCode::diverged,
          "the gradient of parameter {} ({}) is not finite; the weights are as before the step: "
          "lower "
          "the learning rate ({})",
          i, params_[i].value().shape(), options_.rate);
  }
  for (Param& p : params_) {
    if (!p.has_grad()) continue;
    const ParamState& s = p.state();
    const Tensor& velocity = p.slot("momentum");
    const TensorArg in[] = {tensor_arg(s.grad),
                            s.mask_kind == MaskKind::frozen ? tensor_arg(s.mask) : TensorArg{}};
    const TensorArg out[] = {tensor_arg(s.value), tensor_arg(velocity)};
    const Attrs attrs = Attrs()
                            .set("rate", options_.rate)
                            .set("momentum", options_.momentum)
                            .set("decay", s.decay ? options_.weight_decay : 0.0)
                            .set("nesterov", options_.nesterov);
    KernelArgs args;
    args.inputs = in;
    args.outputs = out;
    args.input_count = args.output_count = 2;
    args.attrs = &attrs;
    update(s.value.device(), args);
    p.clear_grad();
  }
}

}  // namespace pare
