//   p = softmax(t / T), q = softmax(s / T);  loss = T^2 / N sum p (log p - log q)
//   ds = T (q - p) / N dloss
#include "compress/distill/soft_target_loss.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "compress/ops.h"
#include "core/math.h"
#include "core/typed.h"

namespace pare {
namespace {

// log softmax(x / T) of one row.
template <class T>
void log_softmax(const T* x, int64_t classes, T temperature, T* out) {
  const T largest = *std::max_element(x, x + classes);
  T sum = 0;
  for (int64_t c = 0; c < classes; ++c) {
    out[c] = (x[c] - largest) / temperature;
    sum += math::exp(out[c]);
  }
  const T shift = math::log(sum);
  for (int64_t c = 0; c < classes; ++c) out[c] -= shift;
}

Status forward(const KernelArgs& args) {
  const TensorArg &s = args.inputs[0], &t = args.inputs[1], &loss = args.outputs[0];
  return for_float(s.dtype, [&]<class T>(T) {
    const int64_t n = s.dims[0], classes = s.dims[1];
    const T temperature = T(args.attrs->real("temperature"));
    std::vector<T> log_q(static_cast<size_t>(classes)), log_p(log_q.size());
    double total = 0;
    for (int64_t i = 0; i < n; ++i) {
      log_softmax(s.as<T>() + i * classes, classes, temperature, log_q.data());
      log_softmax(t.as<T>() + i * classes, classes, temperature, log_p.data());
      for (size_t c = 0; c < log_p.size(); ++c)
        total += double(math::exp(log_p[c])) * double(log_p[c] - log_q[c]);
    }
    *loss.as<T>() = T(total * double(temperature) * double(temperature) / double(n));
  });
}

Status backward(const KernelArgs& args) {
  const TensorArg &s = args.inputs[0], &t = args.inputs[1], &ds = args.grad_inputs[0];
  if (args.grad_inputs[1].data && !args.accumulate[1])
    std::memset(args.grad_inputs[1].data, 0, size_t(t.elements) * size_of(t.dtype));
  if (!ds.data) return Status::ok;
  return for_float(s.dtype, [&]<class T>(T) {
    const int64_t n = s.dims[0], classes = s.dims[1];
    const T temperature = T(args.attrs->real("temperature"));
    const T factor = *args.grad_outputs[0].as<T>() * temperature / T(n);
    std::vector<T> log_q(static_cast<size_t>(classes)), log_p(log_q.size());
    for (int64_t i = 0; i < n; ++i) {
      log_softmax(s.as<T>() + i * classes, classes, temperature, log_q.data());
      log_softmax(t.as<T>() + i * classes, classes, temperature, log_p.data());
      T* out = ds.as<T>() + i * classes;
      for (int64_t c = 0; c < classes; ++c) {
        const T g = factor * (math::exp(log_q[size_t(c)]) - math::exp(log_p[size_t(c)]));
        out[c] = args.accumulate[0] ? out[c] + g : g;
      }
    }
  });
}

const Op definition{
    .name = "soft_target_loss",
    .inputs = {2, 2},
    .buffers = {0, 0},
    .attributes = {{{"temperature", Attrs::Kind::real}}},
    .saves_inputs = 3,
    .infer =
        [](Call& c) {
          const Tensor &s = c.x(), &t = c.x(1);
          check(s.rank() == 2 && s.elements() > 0 && is_float(s.dtype()) &&
                    s.shape() == t.shape() && s.dtype() == t.dtype(),
                "soft_target_loss: student {} {} and teacher {} {}; expected two matrices of one "
                "shape, batch x classes",
                s.dtype(), s.shape(), t.dtype(), t.shape());
          check(c.attrs->real("temperature") > 0,
                "soft_target_loss: temperature {}, expected above 0", c.attrs->real("temperature"));
          c.output(Shape{});
        },
};

}  // namespace

const Op& soft_target_loss_op() {
  static const Op& op = []() -> const Op& {
    register_kernel("soft_target_loss.forward", DeviceType::cpu, forward);
    register_kernel("soft_target_loss.backward", DeviceType::cpu, backward);
    return register_op(definition);
  }();
  return op;
}

Tensor soft_target_loss(const Tensor& student, const Tensor& teacher, double temperature) {
  return apply(soft_target_loss_op(), {&student, &teacher},
               Attrs().set("temperature", temperature));
}

}  // namespace pare
