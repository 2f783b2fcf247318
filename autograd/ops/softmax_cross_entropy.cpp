// softmax_cross_entropy: loss = mean over n of -log softmax(x[n])[label[n]].
//   dx = (softmax(x) - onehot(label)) dloss / N.
#include "autograd/ops.h"
#include "autograd/ops/builtin.h"

namespace pare {
namespace {

const Op definition{
    .name = "softmax_cross_entropy",
    .inputs = {2, 2},
    .buffers = {0, 0},
    .saves_inputs = 3,
    .infer =
        [](Call& c) {
          const Tensor &x = c.x(), &labels = c.x(1);
          check(x.rank() == 2 && x.elements() > 0 && is_float(x.dtype()),
                "softmax_cross_entropy: logits are {} {}, expected float, batch x classes",
                x.dtype(), x.shape());
          check(labels.dtype() == DType::i32 && labels.shape() == Shape{x.size(0)},
                "softmax_cross_entropy: labels are {} {}, expected i32 {}", labels.dtype(),
                labels.shape(), x.size(0));
          c.output(Shape{});
        },
};

}  // namespace

const Op& softmax_cross_entropy_op() {
  static const Op& op = register_op(definition);
  return op;
}

Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& labels) {
  return apply(softmax_cross_entropy_op(), {&logits, &labels});
}

}  // namespace pare
