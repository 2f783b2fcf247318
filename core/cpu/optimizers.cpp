// Kernel rows of the optimizers: one pass over value, gradient and slots.
#include <atomic>
#include <cmath>
#include <iterator>
#include <type_traits>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/typed.h"
#include "core/thread_pool.h"

namespace pare::cpu {
namespace {

constexpr int64_t stretch = 32768;

template <class F>
void over_stretches(int64_t elements, F&& f) {
  parallel_for((elements + stretch - 1) / stretch, [&](int64_t tile) {
    const int64_t first = tile * stretch;
    f(first, elements - first < stretch ? elements - first : stretch);
  });
}

// A number is finite unless all bits of its exponent are set; integers vectorize where sums of
// floats must not.
Status all_finite(const KernelArgs& args) {
  const TensorArg& x = args.inputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    constexpr Bits exponent = sizeof(T) == 4 ? Bits(0x7f800000) : Bits(0x7ff0000000000000);
    std::atomic<bool> all{true};
    over_stretches(x.elements, [&](int64_t first, int64_t n) {
      const Bits* bits = reinterpret_cast<const Bits*>(x.as<T>() + first);
      Bits bad = 0;
      for (int64_t i = 0; i < n; ++i) bad |= Bits((bits[i] & exponent) == exponent);
      if (bad) all.store(false, std::memory_order_relaxed);
    });
    *static_cast<int32_t*>(args.outputs[0].data) = all.load();
  });
}

// Sum of squares in double, over fixed stretches of eight interleaved sums.
Status sum_squares(const KernelArgs& args) {
  const TensorArg& x = args.inputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    double total = 0;
    for (int64_t first = 0; first < x.elements; first += stretch) {
      const int64_t n = x.elements - first < stretch ? x.elements - first : stretch;
      double part[8] = {};
      for (int64_t i = 0; i < n; ++i)
        part[i % 8] += double(x.as<T>()[first + i]) * double(x.as<T>()[first + i]);
      for (const double p : part) total += p;
    }
    *static_cast<double*>(args.outputs[0].data) = total;
  });
}

Status scale(const KernelArgs& args) {
  const TensorArg& x = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    const T factor = T(args.attrs->real("factor"));
    for (int64_t i = 0; i < x.elements; ++i) x.as<T>()[i] *= factor;
  });
}

// inputs: gradient, mask (u8 or absent); outputs: value, momentum.
Status sgd_step(const KernelArgs& args) {
  const TensorArg &g = args.inputs[0], &mask = args.inputs[1];
  return for_float(g.dtype, [&]<class T>(T) {
    const T rate = T(args.attrs->real("rate")), momentum = T(args.attrs->real("momentum"));
    const T decay = T(args.attrs->real("decay"));
    const bool nesterov = args.attrs->integer("nesterov");
    over_stretches(g.elements, [&](int64_t first, int64_t n) {
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

// inputs: gradient, mask (u8 or absent); outputs: value, first and second moment.
Status adam_step(const KernelArgs& args) {
  const TensorArg &g = args.inputs[0], &mask = args.inputs[1];
  const Attrs& a = *args.attrs;
  return for_float(g.dtype, [&]<class T>(T) {
    const T beta1 = T(a.real("beta1")), beta2 = T(a.real("beta2"));
    const T rest1 = T(1 - a.real("beta1")), rest2 = T(1 - a.real("beta2"));
    const T epsilon = T(a.real("epsilon"));
    const bool decoupled = a.integer("decoupled");
    const T decay = decoupled ? T(0) : T(a.real("decay"));
    const T shrink = decoupled ? T(1 - a.real("rate") * a.real("decay")) : T(1);
    const T rate = T(a.real("rate") / a.real("correction1"));
    const T root2 = T(std::sqrt(a.real("correction2")));
    over_stretches(g.elements, [&](int64_t first, int64_t n) {
      const T* __restrict grad = g.as<T>() + first;
      T* __restrict w = args.outputs[0].as<T>() + first;
      T* __restrict m = args.outputs[1].as<T>() + first;
      T* __restrict v = args.outputs[2].as<T>() + first;
      for (int64_t i = 0; i < n; ++i) {
        const T d = grad[i] + decay * w[i];
        m[i] = beta1 * m[i] + rest1 * d;
        v[i] = beta2 * v[i] + rest2 * d * d;
        w[i] = w[i] * shrink - rate * m[i] / (std::sqrt(v[i]) / root2 + epsilon);
      }
      if (!mask.data) return;
      const uint8_t* keep = mask.as<uint8_t>() + first;
      for (int64_t i = 0; i < n; ++i)
        if (!keep[i]) w[i] = m[i] = v[i] = T(0);
    });
  });
}

constexpr KernelRow rows[] = {{"all_finite", 1, all_finite},
                              {"sum_squares", 1, sum_squares},
                              {"scale", 1, scale},
                              {"sgd.step", 1, sgd_step},
                              {"adam.step", 1, adam_step}};

}  // namespace

KernelList optimizer_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
