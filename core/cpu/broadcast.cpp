// Kernel rows of the ops that walk tensors of different shapes together: add, sub, mul and div with
// broadcasting, reductions, transpose; and softmax over the last axis. Plain storage, except that
// equal shapes may lie in any one format.
#include <cmath>
#include <cstring>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/scratch.h"
#include "core/math.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

constexpr int most = Shape::max_rank;

// Steps of `t` along the axes of `whole`; 0 where t has one element (it is repeated, or reduced
// to).
struct Steps {
  int64_t at[most] = {};
  Steps(const TensorArg& t, const TensorArg& whole) {
    int64_t weight = 1;
    for (int i = t.rank - 1, o = whole.rank - 1; i >= 0; --i, --o) {
      at[o] = t.dims[i] == 1 ? 0 : weight;
      weight *= t.dims[i];
    }
  }
};

// Calls f(index in whole, index in a, index in b) for every element of `whole`, in order.
template <class F>
void walk(const TensorArg& whole, const Steps& a, const Steps& b, F&& f) {
  int64_t index[most] = {}, ia = 0, ib = 0;
  for (int64_t i = 0; i < whole.elements; ++i) {
    f(i, ia, ib);
    for (int axis = whole.rank - 1; axis >= 0; --axis) {
      ia += a.at[axis];
      ib += b.at[axis];
      if (++index[axis] < whole.dims[axis]) break;
      ia -= a.at[axis] * whole.dims[axis];
      ib -= b.at[axis] * whole.dims[axis];
      index[axis] = 0;
    }
  }
}

struct Add {  // its gradient is passed on as it is
  template <class T>
  static T f(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  static T f(T a, T b) {
    return a - b;
  }
  template <class T>
  static T da(T, T) {
    return T(1);
  }
  template <class T>
  static T db(T, T) {
    return T(-1);
  }
};
struct Mul {
  template <class T>
  static T f(T a, T b) {
    return a * b;
  }
  template <class T>
  static T da(T, T b) {
    return b;
  }
  template <class T>
  static T db(T a, T) {
    return a;
  }
};
struct Div {
  template <class T>
  static T f(T a, T b) {
    return a / b;
  }
  template <class T>
  static T da(T, T b) {
    return T(1) / b;
  }
  template <class T>
  static T db(T a, T b) {
    return -a / (b * b);
  }
};

constexpr int64_t stretch = 16384;

template <class Op>
Status binary_forward(const KernelArgs& args) {
  const TensorArg &a = args.inputs[0], &b = args.inputs[1], &y = args.outputs[0];
  return for_float(y.dtype, [&]<class T>(T) {
    const T *x = a.as<T>(), *z = b.as<T>();
    T* to = y.as<T>();
    if (a.elements == y.elements && b.elements == y.elements)
      parallel_stretches(y.elements, stretch, [&](int64_t first, int64_t n) {
        for (int64_t i = first; i < first + n; ++i) to[i] = Op::f(x[i], z[i]);
      });
    else
      walk(y, Steps(a, y), Steps(b, y),
           [&](int64_t i, int64_t ia, int64_t ib) { to[i] = Op::f(x[ia], z[ib]); });
  });
}

template <class Op>
Status binary_backward(const KernelArgs& args) {
  const TensorArg &a = args.inputs[0], &b = args.inputs[1], &dy = args.grad_outputs[0];
  const TensorArg &da = args.grad_inputs[0], &db = args.grad_inputs[1];
  return for_float(dy.dtype, [&]<class T>(T) {
    for (int k = 0; k < 2; ++k)
      if (const TensorArg& d = args.grad_inputs[k]; d.data && !args.accumulate[k])
        std::memset(d.data, 0, size_t(d.elements) * sizeof(T));
    const T *x = a.as<T>(), *z = b.as<T>(), *g = dy.as<T>();
    const auto step = [&](int64_t i, int64_t ia, int64_t ib) {
      if (da.data) da.as<T>()[ia] += g[i] * Op::da(x[ia], z[ib]);
      if (db.data) db.as<T>()[ib] += g[i] * Op::db(x[ia], z[ib]);
    };
    if (a.elements == dy.elements && b.elements == dy.elements)
      parallel_stretches(dy.elements, stretch, [&](int64_t first, int64_t n) {
        for (int64_t i = first; i < first + n; ++i) step(i, i, i);
      });
    else
      walk(dy, Steps(a, dy), Steps(b, dy), step);
  });
}

// The output as if reduced axes had stayed with one element each.
TensorArg with_all_axes(const TensorArg& y, const TensorArg& x, const Attrs& attrs) {
  TensorArg kept = y;
  kept.rank = x.rank;
  for (int i = 0; i < x.rank; ++i) kept.dims[i] = x.dims[i];
  const Ints& axes = attrs.ints("axes");
  for (int i = 0; i < axes.size(); ++i) kept.dims[axes[i]] = 1;
  return kept;
}

template <bool mean>
Status sum_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    Scratch scratch;
    double* sums = scratch.take<double>(size_t(y.elements));
    std::memset(sums, 0, size_t(y.elements) * sizeof(double));
    const Steps steps(with_all_axes(y, x, *args.attrs), x);
    walk(x, steps, steps, [&](int64_t i, int64_t o, int64_t) { sums[o] += double(x.as<T>()[i]); });
    const double share = mean ? double(y.elements) / double(x.elements) : 1.0;
    for (int64_t o = 0; o < y.elements; ++o) y.as<T>()[o] = T(sums[o] * share);
  });
}

template <bool mean>
Status sum_backward(const KernelArgs& args) {
  const TensorArg &dx = args.grad_inputs[0], &dy = args.grad_outputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    const T share = mean ? T(double(dy.elements) / double(dx.elements)) : T(1);
    const Steps steps(with_all_axes(dy, dx, *args.attrs), dx);
    walk(dx, steps, steps, [&](int64_t i, int64_t o, int64_t) {
      const T g = dy.as<T>()[o] * share;
      dx.as<T>()[i] = args.accumulate[0] ? dx.as<T>()[i] + g : g;
    });
  });
}

Status max_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    for (int64_t o = 0; o < y.elements; ++o) y.as<T>()[o] = -HUGE_VAL;
    const Steps steps(with_all_axes(y, x, *args.attrs), x);
    walk(x, steps, steps, [&](int64_t i, int64_t o, int64_t) {
      const T v = x.as<T>()[i];
      T& top = y.as<T>()[o];
      top = v > top || v != v ? v : top;
    });
  });
}

Status max_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    Scratch scratch;
    uint8_t* taken = scratch.take<uint8_t>(size_t(y.elements));
    std::memset(taken, 0, size_t(y.elements));
    const Steps steps(with_all_axes(y, x, *args.attrs), x);
    walk(x, steps, steps, [&](int64_t i, int64_t o, int64_t) {
      const bool here = !taken[o] && x.as<T>()[i] == y.as<T>()[o];
      taken[o] = uint8_t(taken[o] | here);
      const T g = here ? args.grad_outputs[0].as<T>()[o] : T(0);
      dx.as<T>()[i] = args.accumulate[0] ? dx.as<T>()[i] + g : g;
    });
  });
}

// Steps through x for each axis of its transpose y: axis i of y is axis order[i] of x.
Steps transposed_steps(const TensorArg& x, const Ints& order) {
  const Steps own(x, x);
  Steps steps(x, x);
  for (int i = 0; i < order.size(); ++i) steps.at[i] = own.at[order[i]];
  return steps;
}

Status transpose_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    const Steps steps = transposed_steps(x, args.attrs->ints("order"));
    walk(y, steps, steps,
         [&](int64_t i, int64_t from, int64_t) { y.as<T>()[i] = x.as<T>()[from]; });
  });
}
Status transpose_backward(const KernelArgs& args) {
  const TensorArg &dx = args.grad_inputs[0], &dy = args.grad_outputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    const Steps steps = transposed_steps(dx, args.attrs->ints("order"));
    walk(dy, steps, steps, [&](int64_t i, int64_t to, int64_t) {
      T& g = dx.as<T>()[to];
      g = args.accumulate[0] ? g + dy.as<T>()[i] : dy.as<T>()[i];
    });
  });
}

template <bool logarithm>
Status softmax_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const int64_t n = x.dims[x.rank - 1];
  return for_float(x.dtype, [&]<class T>(T) {
    parallel_stretches(x.elements / n, stretch, [&](int64_t first, int64_t count) {
      for (int64_t r = first; r < first + count; ++r) {
        const T* in = x.as<T>() + r * n;
        T *out = y.as<T>() + r * n, top = in[0], sum = T(0);
        for (int64_t j = 1; j < n; ++j) top = in[j] > top ? in[j] : top;
        for (int64_t j = 0; j < n; ++j) sum += out[j] = math::exp(in[j] - top);
        const T shift = top + math::log(sum);
        for (int64_t j = 0; j < n; ++j) out[j] = logarithm ? in[j] - shift : out[j] / sum;
      }
    });
  });
}

// softmax: dx = y (dy - sum of dy y); log_softmax: dx = dy - exp(y) sum of dy.
template <bool logarithm>
Status softmax_backward(const KernelArgs& args) {
  const TensorArg &y = args.outputs[0], &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  const int64_t n = y.dims[y.rank - 1];
  return for_float(dx.dtype, [&]<class T>(T) {
    parallel_stretches(y.elements / n, stretch, [&](int64_t first, int64_t count) {
      for (int64_t r = first; r < first + count; ++r) {
        const T *p = y.as<T>() + r * n, *g = dy.as<T>() + r * n;
        T *to = dx.as<T>() + r * n, sum = T(0);
        for (int64_t j = 0; j < n; ++j) sum += logarithm ? g[j] : g[j] * p[j];
        for (int64_t j = 0; j < n; ++j) {
          const T d = logarithm ? g[j] - math::exp(p[j]) * sum : p[j] * (g[j] - sum);
          to[j] = args.accumulate[0] ? to[j] + d : d;
        }
      }
    });
  });
}

constexpr KernelRow rows[] = {
    {"add.forward", 1, binary_forward<Add>},
    {"sub.forward", 1, binary_forward<Sub>},
    {"sub.backward", 1, binary_backward<Sub>},
    {"mul.forward", 1, binary_forward<Mul>},
    {"mul.backward", 1, binary_backward<Mul>},
    {"div.forward", 1, binary_forward<Div>},
    {"div.backward", 1, binary_backward<Div>},
    {"sum.forward", 1, sum_forward<false>},
    {"sum.backward", 1, sum_backward<false>},
    {"mean.forward", 1, sum_forward<true>},
    {"mean.backward", 1, sum_backward<true>},
    {"max.forward", 1, max_forward},
    {"max.backward", 1, max_backward},
    {"transpose.forward", 1, transpose_forward},
    {"transpose.backward", 1, transpose_backward},
    {"softmax.forward", 1, softmax_forward<false>},
    {"softmax.backward", 1, softmax_backward<false>},
    {"log_softmax.forward", 1, softmax_forward<true>},
    {"log_softmax.backward", 1, softmax_backward<true>},
};

}  // namespace

KernelList broadcast_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
