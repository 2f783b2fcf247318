// Kernel rows of the optimizers: one pass over value, gradient and slots.
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/typed.h"
#include "core/thread_pool.h"

namespace pare::cpu {
namespace {

constexpr int64_t stretch = 32768;

Status all_finite(const KernelArgs& args) {
  const TensorArg& x = args.inputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    // x - x is 0 for finite x and NaN otherwise; NaN survives the sum.
    T sum = T(0);
    for (int64_t i = 0; i < x.elements; ++i) sum += x.as<T>()[i] - x.as<T>()[i];
    *static_cast<int32_t*>(args.outputs[0].data) = sum == T(0);
  });
}

// inputs: gradient, mask (u8 or absent); outputs: value, momentum.
Status sgd_step(const KernelArgs& args) {
  const TensorArg &g = args.inputs[0], &mask = args.inputs[1];
  return for_float(g.dtype, [&]<class T>(T) {
    const T rate = T(args.attrs->real("rate")), momentum = T(args.attrs->real("momentum"));
    const T decay = T(args.attrs->real("decay"));
    const bool nesterov = args.attrs->integer("nesterov");
    parallel_for((g.elements + stretch - 1) / stretch, [&](int64_t tile) {
      const int64_t first = tile * stretch;
      const int64_t n = g.elements - first < stretch ? g.elements - first : stretch;
      const T* __restrict grad = g.as<T>() + first;
      T* __restrict w = args.outputs[0].as<T>() + first;
      T* __restrict v = args.outputs[1].as<T>() + first;
      for (int64_t i = 0; i < n; ++i) {
        const T d = grad[i] + decay * w[i];
        v[i] = momentum * v[i] + d;
        w[i] -= rate * (nesterov ? d + momentum * v[i] : v[i]);
      }
      if (!mask.data) return;
      const uint8_t* keep = mask.as<uint8_t>() + first;
      for (int64_t i = 0; i < n; ++i)
        if (!keep[i]) w[i] = v[i] = T(0);
    });
  });
}

constexpr KernelRow rows[] = {{"all_finite", 1, all_finite}, {"sgd.step", 1, sgd_step}};

}  // namespace

KernelList optimizer_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
