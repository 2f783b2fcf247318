// Kernel rows of the optimizers: one pass over value, gradient and slots of all parameters.
//
// check_gradients writes a verdict, f64 [2]: the factor that clips the gradients, and why there is
// no step (0: there is one; -1: the loss is above `most` or not finite; i: gradient i, counted from
// 1, is not finite), which stays until someone clears it. A step takes the verdict and a mask (u8,
// or absent) for each parameter in, and the tensors of the parameters out, one parameter after
// another; it changes nothing where the verdict says so. Where the mask is 0 all tensors are
// exactly 0 afterwards. A kept step takes the verdict, the mask and its pattern
// (core/sparse_pattern.h) of one parameter whose tensors are zero wherever the mask is.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/kernels/kernels.h"
#include "core/sparse_pattern.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

constexpr int64_t stretch = 32768;

template <class T>
bool all_finite(const T* x, int64_t n) {
  std::atomic<bool> finite{true};
  parallel_stretches(n, stretch, [&](int64_t first, int64_t count) {
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
    parallel_stretches(
        std::min(n - begin, most * stretch), stretch, [&](int64_t first, int64_t count) {
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
      const auto value = double(*loss.as<T>());
      if (!std::isfinite(value) || value > args.attrs->real("most")) verdict[1] = -1;
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

// Calls update(pointers to the tensors of one parameter, count) over all parameters, then the mask
// on each of the tensors.
template <class F>
Status step(const KernelArgs& args, F&& update) {
  if (args.inputs[0].as<double>()[1] != 0) return Status::ok;
  const int params = args.input_count - 1, tensors = params ? args.output_count / params : 0;
  for (int p = 0; p < params; ++p) {
    const TensorArg *out = args.outputs + p * tensors, &mask = args.inputs[1 + p];
    const Status status = for_float(out[0].dtype, [&]<class T>(T) {
      parallel_stretches(out[0].elements, stretch, [&](int64_t first, int64_t n) {
        T* at[4] = {};
        for (int i = 0; i < tensors; ++i) at[i] = out[i].as<T>() + first;
        update(at, n);
        for (int i = 0; mask.data && i < tensors; ++i)
          loops<T>().zero_masked(mask.as<uint8_t>() + first, at[i], n);
      });
    });
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

// update(tensors, count) on the kept elements of a few rows after another, gathered side by side.
template <class T, class F>
void step_gathered(const KernelArgs& args, const SparsePattern& p, F&& update) {
  constexpr int64_t gathered = 512;
  constexpr int64_t rows_at_once = 16;
  parallel_for((p.rows + rows_at_once - 1) / rows_at_once, [&](int64_t tile) {
    T held[4][gathered];
    int64_t place[gathered];
    T* at[4] = {};
    for (int i = 0; i < args.output_count; ++i) at[i] = held[i];
    int64_t n = 0;
    const auto flush = [&] {
      for (int i = 0; i < args.output_count; ++i)
        for (int64_t k = 0; k < n; ++k) held[i][k] = args.outputs[i].as<T>()[place[k]];
      update(at, n);
      for (int i = 0; i < args.output_count; ++i)  // the gradient stays as it is
        for (int64_t k = 0; i != 1 && k < n; ++k) args.outputs[i].as<T>()[place[k]] = held[i][k];
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

// A step of zeros gives zeros: few kept elements are stepped alone, many by going over everything.
template <class F>
Status step_kept(const KernelArgs& args, F&& update) {
  if (args.inputs[0].as<double>()[1] != 0) return Status::ok;
  constexpr int64_t few = 20;  // times fewer than all, from measurements
  const SparsePattern p = read_pattern(args.inputs[2].as<int32_t>());
  if (few * p.kept >= p.rows * p.columns) {
    KernelArgs all = args;
    const TensorArg inputs[2] = {args.inputs[0], {}};
    all.inputs = inputs;
    all.input_count = 2;
    return step(all, update);
  }
  return for_float(args.outputs[0].dtype, [&]<class T>(T) { step_gathered<T>(args, p, update); });
}

// Tensors of a parameter: value, gradient, momentum (absent where it is 0).
auto sgd_update(const KernelArgs& args) {
  return
      [&a = *args.attrs, scale = args.inputs[0].as<double>()[0]]<class T>(T* const* at, int64_t n) {
        const SgdRule<T> rule{T(scale), T(a.real("rate")), T(a.real("momentum")),
                              T(a.real("decay")), a.integer("nesterov") != 0};
        loops<T>().sgd(rule, at[1], at[0], at[2], n);
      };
}
Status sgd_step(const KernelArgs& args) { return step(args, sgd_update(args)); }
Status sgd_step_kept(const KernelArgs& args) { return step_kept(args, sgd_update(args)); }

// Tensors of a parameter: value, gradient, first moment, second moment.
auto adam_update(const KernelArgs& args) {
  return
      [&a = *args.attrs, scale = args.inputs[0].as<double>()[0]]<class T>(T* const* at, int64_t n) {
        const AdamRule<T> rule{T(scale),           T(a.real("decay")),  T(a.real("shrink")),
                               T(a.real("beta1")), T(a.real("beta2")),  T(a.real("step_size")),
                               T(a.real("root")),  T(a.real("epsilon"))};
        loops<T>().adam(rule, at[1], at[0], at[2], at[3], n);
      };
}
Status adam_step(const KernelArgs& args) { return step(args, adam_update(args)); }
Status adam_step_kept(const KernelArgs& args) { return step_kept(args, adam_update(args)); }

constexpr KernelRow rows[] = {{"check_gradients", 1, check_gradients},
                              {"sgd.step", 1, sgd_step},
                              {"sgd.step_kept", 1, sgd_step_kept},
                              {"adam.step", 1, adam_step},
                              {"adam.step_kept", 1, adam_step_kept}};

}  // namespace

KernelList optimizer_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
