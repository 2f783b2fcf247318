// Kernel rows of the pointwise ops, of masked and of accumulate, over the loops of the CPU at hand.
#include "core/pointwise.h"

#include <string>
#include <utility>
#include <vector>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/kernels/kernels.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

constexpr int64_t stretch = 32768;

template <class F>
double attribute(const KernelArgs& args, int i) {
  return F::attributes[i] ? args.attrs->real(F::attributes[i]) : 0;
}

template <class F, int index>
Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const double a = attribute<F>(args, 0), b = attribute<F>(args, 1);
  return for_float(x.dtype, [&]<class T>(T) {
    parallel_stretches(x.elements, stretch, [&](int64_t first, int64_t n) {
      loops<T>().pointwise(index, x.as<T>() + first, y.as<T>() + first, n, T(a), T(b));
    });
  });
}

template <class F, int index>
Status backward(const KernelArgs& args) {
  const TensorArg& saved = F::saves_output ? args.outputs[0] : args.inputs[0];
  const TensorArg &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  const double a = attribute<F>(args, 0), b = attribute<F>(args, 1);
  return for_float(dx.dtype, [&]<class T>(T) {
    parallel_stretches(dx.elements, stretch, [&](int64_t first, int64_t n) {
      loops<T>().pointwise_gradient(index, saved.as<T>() + first, dy.as<T>() + first,
                                    dx.as<T>() + first, n, T(a), T(b), args.accumulate[0]);
    });
  });
}

template <class... F, size_t... index>
void add_rows(std::vector<KernelRow>& rows, pointwise::List<F...>, std::index_sequence<index...>) {
  (rows.push_back({intern(std::string(F::name) + ".forward"), 1, forward<F, int(index)>}), ...);
  (rows.push_back({intern(std::string(F::name) + ".backward"), 1, backward<F, int(index)>}), ...);
}

Status accumulate(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    parallel_stretches(x.elements, stretch, [&](int64_t first, int64_t n) {
      loops<T>().add(y.as<T>() + first, x.as<T>() + first, y.as<T>() + first, n);
    });
  });
}

Status masked_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &mask = args.inputs[1], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    for (int64_t i = 0; i < x.elements; ++i)
      y.as<T>()[i] = mask.as<uint8_t>()[i] ? x.as<T>()[i] : T(0);
  });
}
Status masked_backward(const KernelArgs& args) {
  const TensorArg &mask = args.inputs[1], &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    for (int64_t i = 0; i < dx.elements; ++i) {
      const T g = mask.as<uint8_t>()[i] ? dy.as<T>()[i] : T(0);
      dx.as<T>()[i] = args.accumulate[0] ? dx.as<T>()[i] + g : g;
    }
  });
}

}  // namespace

KernelList pointwise_kernels() {
  static const std::vector<KernelRow> rows = [] {
    std::vector<KernelRow> all{{"accumulate", 1, accumulate},
                               {"masked.forward", 1, masked_forward},
                               {"masked.backward", 1, masked_backward}};
    add_rows(all, pointwise::All{}, std::make_index_sequence<pointwise::All::count>{});
    return all;
  }();
  return {rows.data(), int(rows.size())};
}

}  // namespace pare::cpu
