// Kernel rows of the pointwise ops, of masked and of accumulate. Four elements a thread where
// everything lies on their boundary.
#include "core/pointwise.h"

#include <iterator>
#include <string>
#include <vector>

#include "cuda/device.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

constexpr int width = 4;

// Calls step(i, n): elements i and on, n of them known when compiled (width, or 1 for the rest).
template <class F>
PARE_DEVICE inline void over_elements(int64_t n, bool aligned, F&& step) {
  const int64_t vectors = aligned ? n / width : 0;
  for (int64_t i = global_x(); i < vectors; i += grid_threads())
    step(i * width, std::integral_constant<int, width>{});
  for (int64_t i = vectors * width + global_x(); i < n; i += grid_threads())
    step(i, std::integral_constant<int, 1>{});
}
template <class... T>
bool all_aligned(const T*... p) {
  return ((uintptr_t(p) % (sizeof(T) * width) == 0) && ...);
}

template <class F, class T>
PARE_KERNEL void forward_kernel(const T* x, T* y, int64_t n, bool aligned, T a, T b) {
  over_elements(n, aligned, [&](int64_t i, auto count) {
    Vector<T, count()> v = load<count()>(x + i);
    for (int k = 0; k < count(); ++k) v[k] = F::template f<T>(v[k], a, b);
    store<count()>(y + i, v);
  });
}

template <class F, class T>
PARE_KERNEL void backward_kernel(const T* saved, const T* dy, T* dx, int64_t n, bool aligned, T a,
                                 T b, bool accumulate) {
  over_elements(n, aligned, [&](int64_t i, auto count) {
    const Vector<T, count()> s = load<count()>(saved + i), g = load<count()>(dy + i);
    Vector<T, count()> d{};
    if (accumulate) d = load<count()>(dx + i);
    for (int k = 0; k < count(); ++k) {
      const T v = g[k] * F::template df<T>(s[k], a, b);
      d[k] = accumulate ? d[k] + v : v;
    }
    store<count()>(dx + i, d);
  });
}

template <class T>
PARE_KERNEL void accumulate_kernel(const T* x, T* y, int64_t n, bool aligned) {
  over_elements(n, aligned, [&](int64_t i, auto count) {
    const Vector<T, count()> v = load<count()>(x + i);
    Vector<T, count()> sum = load<count()>(y + i);
    for (int k = 0; k < count(); ++k) sum[k] = sum[k] + v[k];
    store<count()>(y + i, sum);
  });
}

template <class T>
PARE_KERNEL void masked_kernel(const T* x, const uint8_t* mask, T* y, int64_t n, bool accumulate) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const T v = mask[i] ? x[i] : T(0);
    y[i] = accumulate ? y[i] + v : v;
  }
}

template <class F>
double attribute(const KernelArgs& args, int i) {
  return F::attributes[i] ? args.attrs->real(F::attributes[i]) : 0;
}

template <class F>
Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    const T *from = x.as<T>(), a = T(attribute<F>(args, 0)), b = T(attribute<F>(args, 1));
    launch_over(forward_kernel<F, T>, ceil_div(x.elements, width), from, y.as<T>(), x.elements,
                all_aligned(from, y.as<T>()), a, b);
  });
}

template <class F>
Status backward(const KernelArgs& args) {
  const TensorArg& saved = F::saves_output ? args.outputs[0] : args.inputs[0];
  const TensorArg &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    const T *s = saved.as<T>(), *g = dy.as<T>(), a = T(attribute<F>(args, 0)),
            b = T(attribute<F>(args, 1));
    launch_over(backward_kernel<F, T>, ceil_div(dx.elements, width), s, g, dx.as<T>(), dx.elements,
                all_aligned(s, g, dx.as<T>()), a, b, args.accumulate[0]);
  });
}

Status accumulate(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    launch_over(accumulate_kernel<T>, ceil_div(x.elements, width), x.as<T>(), y.as<T>(), x.elements,
                all_aligned(x.as<T>(), y.as<T>()));
  });
}

Status masked_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &mask = args.inputs[1], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    launch_over(masked_kernel<T>, x.elements, x.as<T>(), mask.as<uint8_t>(), y.as<T>(), x.elements,
                false);
  });
}
Status masked_backward(const KernelArgs& args) {
  const TensorArg &mask = args.inputs[1], &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    launch_over(masked_kernel<T>, dx.elements, dy.as<T>(), mask.as<uint8_t>(), dx.as<T>(),
                dx.elements, args.accumulate[0]);
  });
}

// As long as the table lives, so does what it calls its rows.
template <class F>
const std::string forward_name = std::string(F::name) + ".forward";
template <class F>
const std::string backward_name = std::string(F::name) + ".backward";

template <class... F>
void add_rows(std::vector<KernelRow>& rows, pointwise::List<F...>) {
  (rows.push_back({forward_name<F>.c_str(), 1, guarded<forward<F>>}), ...);
  (rows.push_back({backward_name<F>.c_str(), 1, guarded<backward<F>>}), ...);
}

}  // namespace

KernelList pointwise_rows() {
  static const std::vector<KernelRow> rows = [] {
    std::vector<KernelRow> all{{"accumulate", 1, guarded<accumulate>},
                               {"masked.forward", 1, guarded<masked_forward>},
                               {"masked.backward", 1, guarded<masked_backward>}};
    add_rows(all, pointwise::All{});
    return all;
  }();
  return {rows.data(), int(rows.size())};
}

}  // namespace pare::cuda
