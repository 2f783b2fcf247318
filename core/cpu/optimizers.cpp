// Kernel rows of the optimizers: one pass over value, gradient and slots.
//
// A step takes the mask (u8, or absent) in and value, gradient, slots out; where the mask is 0 all
// of them are exactly 0 afterwards.
#include <array>
#include <atomic>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/loops.h"
#include "core/cpu/typed.h"
#include "core/thread_pool.h"

namespace pare::cpu {
namespace {

constexpr int64_t stretch = 32768;

Status all_finite(const KernelArgs& args) {
  const TensorArg& x = args.inputs[0];
  std::atomic<bool> finite{true};
  const Status status = for_float(x.dtype, [&]<class T>(T) {
    parallel_stretches(x.elements, stretch, [&](int64_t first, int64_t n) {
      if (!loops<T>().all_finite(x.as<T>() + first, n))
        finite.store(false, std::memory_order_relaxed);
    });
  });
  *static_cast<int32_t*>(args.outputs[0].data) = finite;
  return status;
}

// Adds to the number (f64, on the host) that outputs[0] holds.
Status sum_of_squares(const KernelArgs& args) {
  const TensorArg& x = args.inputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    constexpr int64_t most = 64;
    double& total = *static_cast<double*>(args.outputs[0].data);
    for (int64_t begin = 0; begin < x.elements; begin += most * stretch) {
      std::array<double, most> sums{};
      const int64_t count =
          x.elements - begin < most * stretch ? x.elements - begin : most * stretch;
      parallel_stretches(count, stretch, [&](int64_t first, int64_t n) {
        sums[size_t(first / stretch)] = loops<T>().sum_of_squares(x.as<T>() + begin + first, n);
      });
      for (const double s : sums) total += s;
    }
  });
}

// update(loops, offset, count) over the elements, then the mask on every output.
template <class T, class F>
void step(const KernelArgs& args, F&& update) {
  const TensorArg& mask = args.inputs[0];
  parallel_stretches(args.outputs[0].elements, stretch, [&](int64_t first, int64_t n) {
    update(first, n);
    if (!mask.data) return;
    for (int i = 0; i < args.output_count; ++i)
      if (args.outputs[i].data)
        loops<T>().zero_masked(mask.as<uint8_t>() + first, args.outputs[i].as<T>() + first, n);
  });
}

// outputs: value, gradient, momentum (absent without).
Status sgd_step(const KernelArgs& args) {
  const TensorArg *out = args.outputs, &momentum = out[2];
  const Attrs& a = *args.attrs;
  return for_float(out[0].dtype, [&]<class T>(T) {
    const SgdRule<T> rule{T(a.real("scale")), T(a.real("rate")), T(a.real("momentum")),
                          T(a.real("decay")), a.integer("nesterov") != 0};
    step<T>(args, [&](int64_t first, int64_t n) {
      loops<T>().sgd(rule, out[1].as<T>() + first, out[0].as<T>() + first,
                     momentum.data ? momentum.as<T>() + first : nullptr, n);
    });
  });
}

// outputs: value, gradient, first moment, second moment.
Status adam_step(const KernelArgs& args) {
  const TensorArg* out = args.outputs;
  const Attrs& a = *args.attrs;
  return for_float(out[0].dtype, [&]<class T>(T) {
    const AdamRule<T> rule{T(a.real("scale")), T(a.real("decay")),  T(a.real("shrink")),
                           T(a.real("beta1")), T(a.real("beta2")),  T(a.real("step_size")),
                           T(a.real("root")),  T(a.real("epsilon"))};
    step<T>(args, [&](int64_t first, int64_t n) {
      loops<T>().adam(rule, out[1].as<T>() + first, out[0].as<T>() + first, out[2].as<T>() + first,
                      out[3].as<T>() + first, n);
    });
  });
}

constexpr KernelRow rows[] = {{"all_finite", 1, all_finite},
                              {"sum_of_squares", 1, sum_of_squares},
                              {"sgd.step", 1, sgd_step},
                              {"adam.step", 1, adam_step}};

}  // namespace

KernelList optimizer_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
