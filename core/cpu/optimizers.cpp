// Kernel rows of the optimizers: one pass over value, gradient and slots.
//
// A step takes the mask (u8, or absent) and maybe its pattern (core/sparse_pattern.h) in, and
// value, gradient, slots out; where the mask is 0 all of them are exactly 0 afterwards.
#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/loops.h"
#include "core/cpu/typed.h"
#include "core/sparse_pattern.h"
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

// update(outputs, count) on the kept elements of some rows of a pattern, gathered side by side.
template <class T, class F>
void step_kept(const KernelArgs& args, const SparsePattern& p, F&& update) {
  constexpr int64_t gathered = 512;
  constexpr int64_t rows_at_once = 16;
  parallel_for((p.rows + rows_at_once - 1) / rows_at_once, [&](int64_t tile) {
    T held[4][gathered];
    int64_t place[gathered];
    T* at[4] = {};
    for (int i = 0; i < args.output_count; ++i)
      if (args.outputs[i].data) at[i] = held[i];
    int64_t n = 0;
    const auto flush = [&] {
      for (int i = 0; i < args.output_count; ++i)
        for (int64_t k = 0; at[i] && k < n; ++k) held[i][k] = args.outputs[i].as<T>()[place[k]];
      update(at, n);
      for (int i = 0; i < args.output_count; ++i)  // the gradient stays as it is
        for (int64_t k = 0; i != 1 && at[i] && k < n; ++k)
          args.outputs[i].as<T>()[place[k]] = held[i][k];
      n = 0;
    };
    const int64_t last = std::min(p.rows, (tile + 1) * rows_at_once);
    for (int64_t r = tile * rows_at_once; r < last; ++r)
      for (int32_t i = p.row_starts[r]; i < p.row_starts[r + 1]; ++i) {
        place[n++] = r * p.columns + p.row_columns[i];
        if (n == gathered) flush();
      }
    if (n > 0) flush();
  });
}

// update(outputs, count) over the elements, then the mask on every output. With the mask's pattern
// (inputs[1]) all others are zero already, the gradient's too, and a step of zeros gives zeros: few
// kept elements are stepped alone, many by going over everything without masking.
template <class T, class F>
void step(const KernelArgs& args, F&& update) {
  const TensorArg& mask = args.inputs[0];
  const bool clean = args.input_count > 1 && args.inputs[1].data;
  if (clean) {
    constexpr int64_t few = 20;  // times fewer than all, from measurements
    const SparsePattern p = read_pattern(args.inputs[1].as<int32_t>());
    if (few * p.kept < p.rows * p.columns) return step_kept<T>(args, p, update);
  }
  parallel_stretches(args.outputs[0].elements, stretch, [&](int64_t first, int64_t n) {
    T* at[4] = {};
    for (int i = 0; i < args.output_count; ++i)
      if (args.outputs[i].data) at[i] = args.outputs[i].as<T>() + first;
    update(at, n);
    for (int i = 0; mask.data && !clean && i < args.output_count; ++i)
      if (at[i]) loops<T>().zero_masked(mask.as<uint8_t>() + first, at[i], n);
  });
}

// outputs: value, gradient, momentum (absent without).
Status sgd_step(const KernelArgs& args) {
  const Attrs& a = *args.attrs;
  return for_float(args.outputs[0].dtype, [&]<class T>(T) {
    const SgdRule<T> rule{T(a.real("scale")), T(a.real("rate")), T(a.real("momentum")),
                          T(a.real("decay")), a.integer("nesterov") != 0};
    step<T>(args, [&](T* const* at, int64_t n) { loops<T>().sgd(rule, at[1], at[0], at[2], n); });
  });
}

// outputs: value, gradient, first moment, second moment.
Status adam_step(const KernelArgs& args) {
  const Attrs& a = *args.attrs;
  return for_float(args.outputs[0].dtype, [&]<class T>(T) {
    const AdamRule<T> rule{T(a.real("scale")), T(a.real("decay")),  T(a.real("shrink")),
                           T(a.real("beta1")), T(a.real("beta2")),  T(a.real("step_size")),
                           T(a.real("root")),  T(a.real("epsilon"))};
    step<T>(args,
            [&](T* const* at, int64_t n) { loops<T>().adam(rule, at[1], at[0], at[2], at[3], n); });
  });
}

constexpr KernelRow rows[] = {{"all_finite", 1, all_finite},
                              {"sum_of_squares", 1, sum_of_squares},
                              {"sgd.step", 1, sgd_step},
                              {"adam.step", 1, adam_step}};

}  // namespace

KernelList optimizer_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
