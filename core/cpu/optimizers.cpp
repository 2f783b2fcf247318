// Kernel rows of the optimizers: one pass over value, gradient and slots of all parameters.
//
// check_gradients writes a verdict, f64 [2]: the factor that clips the gradients, and why there is
// no step (0: there is one; -1: the loss is above `most` or NaN; i: gradient i, counted from 1, is
// not finite), which stays until someone clears it. A step takes the verdict and a mask (u8, or
// absent) for each parameter in, and the tensors of the parameters out, one parameter after
// another; it changes nothing where the verdict says so. Where the mask is 0 all tensors are
// exactly 0 afterwards.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/loops.h"
#include "core/cpu/typed.h"
#include "core/thread_pool.h"

namespace pare::cpu {
namespace {

constexpr int64_t stretch = 32768;

// Calls f(first, count) over fixed stretches of n elements.
template <class F>
void over_stretches(int64_t n, F&& f) {
  parallel_for((n + stretch - 1) / stretch, [&](int64_t tile) {
    const int64_t first = tile * stretch;
    f(first, n - first < stretch ? n - first : stretch);
  });
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  std::atomic<bool> finite{true};
  over_stretches(n, [&](int64_t first, int64_t count) {
    if (!loops<T>().all_finite(x + first, count)) finite.store(false, std::memory_order_relaxed);
  });
  return finite;
}

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  constexpr int64_t most = 64;
  double total = 0;
  for (int64_t begin = 0; begin < n; begin += most * stretch) {
    std::array<double, most> sums{};
    over_stretches(std::min(n - begin, most * stretch), [&](int64_t first, int64_t count) {
      sums[size_t(first / stretch)] = loops<T>().sum_of_squares(x + begin + first, count);
    });
    for (const double s : sums) total += s;
  }
  return total;
}

// inputs: the loss (or absent), a mask (u8, or absent) for each gradient. outputs: the verdict, the
// gradients; masked elements of theirs do not count in the norm.
Status check_gradients(const KernelArgs& args) {
  auto* verdict = args.outputs[0].as<double>();
  if (verdict[1] != 0) return Status::ok;
  Status status = Status::ok;
  const auto typed = [&](const TensorArg& t, auto&& f) {
    const Status s = for_float(t.dtype, f);
    if (s != Status::ok) status = s;
  };
  if (const TensorArg& loss = args.inputs[0]; loss.data)
    typed(loss, [&]<class T>(T) {
      if (!(double(*loss.as<T>()) <= args.attrs->real("most"))) verdict[1] = -1;
    });
  for (int i = 1; i < args.output_count && verdict[1] == 0; ++i)
    typed(args.outputs[i], [&]<class T>(T) {
      if (!all_finite(args.outputs[i].as<T>(), args.outputs[i].elements)) verdict[1] = i;
    });
  verdict[0] = 1;
  const double clip = args.attrs->real("clip");
  if (status != Status::ok || verdict[1] != 0 || clip == 0) return status;
  double total = 0;
  for (int i = 1; i < args.output_count; ++i) {
    const TensorArg &g = args.outputs[i], &mask = args.inputs[i];
    typed(g, [&]<class T>(T) {
      if (mask.data) loops<T>().zero_masked(mask.as<uint8_t>(), g.as<T>(), g.elements);
      total += sum_of_squares(g.as<T>(), g.elements);
    });
  }
  const double norm = std::sqrt(total);
  if (norm > clip) verdict[0] = clip / norm;
  return status;
}

// Calls update(tensors of one parameter, first element, count) over all parameters, then the mask
// on each of the tensors.
template <class F>
Status step(const KernelArgs& args, F&& update) {
  if (args.inputs[0].as<double>()[1] != 0) return Status::ok;
  const int params = args.input_count - 1, tensors = params ? args.output_count / params : 0;
  for (int p = 0; p < params; ++p) {
    const TensorArg *out = args.outputs + p * tensors, &mask = args.inputs[1 + p];
    const Status status = for_float(out[0].dtype, [&]<class T>(T) {
      over_stretches(out[0].elements, [&](int64_t first, int64_t n) {
        update(out, T{}, first, n);
        if (!mask.data) return;
        for (int i = 0; i < tensors; ++i)
          loops<T>().zero_masked(mask.as<uint8_t>() + first, out[i].as<T>() + first, n);
      });
    });
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

// Tensors of a parameter: value, gradient, momentum (absent where it is 0).
Status sgd_step(const KernelArgs& args) {
  const Attrs& a = *args.attrs;
  const double scale = args.inputs[0].as<double>()[0], momentum = a.real("momentum");
  return step(args, [&]<class T>(const TensorArg* out, T, int64_t first, int64_t n) {
    const SgdRule<T> rule{T(scale), T(a.real("rate")), T(momentum), T(a.real("decay")),
                          a.integer("nesterov") != 0};
    loops<T>().sgd(rule, out[1].as<T>() + first, out[0].as<T>() + first,
                   momentum > 0 ? out[2].as<T>() + first : nullptr, n);
  });
}

// Tensors of a parameter: value, gradient, first moment, second moment.
Status adam_step(const KernelArgs& args) {
  const Attrs& a = *args.attrs;
  const double scale = args.inputs[0].as<double>()[0];
  return step(args, [&]<class T>(const TensorArg* out, T, int64_t first, int64_t n) {
    const AdamRule<T> rule{T(scale),           T(a.real("decay")),  T(a.real("shrink")),
                           T(a.real("beta1")), T(a.real("beta2")),  T(a.real("step_size")),
                           T(a.real("root")),  T(a.real("epsilon"))};
    loops<T>().adam(rule, out[1].as<T>() + first, out[0].as<T>() + first, out[2].as<T>() + first,
                    out[3].as<T>() + first, n);
  });
}

constexpr KernelRow rows[] = {{"check_gradients", 1, check_gradients},
                              {"sgd.step", 1, sgd_step},
                              {"adam.step", 1, adam_step}};

}  // namespace

KernelList optimizer_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
