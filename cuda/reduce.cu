// Kernel rows of sum, mean and max over axes, and of transpose. Plain storage.
//
// An output is folded from its elements in spans of fixed length, whose results are folded again
// until one is left: the order depends on the shape alone. Sums are kept in double, as on the CPU.
#include <cmath>
#include <iterator>
#include <limits>

#include "cuda/axes.h"
#include "cuda/device.h"
#include "cuda/fill.h"
#include "cuda/rows.h"
#include "cuda/transpose.h"
#include "cuda/warp_rows.h"

namespace pare::cuda {
namespace {

struct Sum {
  template <class T>
  using Value = double;
  template <class V>
  PARE_HD static V none() {
    return V(0);
  }
  template <class V>
  PARE_HD static V fold(V a, V b) {
    return a + b;
  }
};
struct Max {
  template <class T>
  using Value = T;
  template <class V>
  PARE_HD static V none() {
    return V(-HUGE_VAL);
  }
  template <class V>
  PARE_HD static V fold(V a, V b) {
    return b > a || b != b ? b : a;
  }
};

constexpr int64_t warp_span = 4096, thread_span = 256;

// part[s * n + o] = fold of elements [s * span, (s + 1) * span) of output o; `kept` walks the
// outputs, `folded` the elements of one. By one thread, where neighbouring outputs lie side by
// side, or by one warp.
template <class Op, class T, class V>
PARE_KERNEL void thread_kernel(const T* x, V* part, int64_t n, int64_t count, int64_t items,
                               Axes kept, Axes folded) {
  for (int64_t i = global_x(); i < items; i += grid_threads()) {
    const int64_t s = i / n, first = s * thread_span,
                  last = first + thread_span < count ? first + thread_span : count;
    const T* from = x + place_of(kept, i - s * n).at[0];
    V v = Op::template none<V>();
    for (int64_t k = first; k < last; ++k) v = Op::fold(v, V(from[place_of(folded, k).at[0]]));
    part[i] = v;
  }
}
template <class Op, class T, class V>
PARE_KERNEL void warp_kernel(const T* x, V* part, int64_t n, int64_t count, int64_t items,
                             Axes kept, Axes folded) {
  over_rows(items, [&](int64_t i) {
    const int64_t s = i / n, first = s * warp_span,
                  last = first + warp_span < count ? first + warp_span : count;
    const T* from = x + place_of(kept, i - s * n).at[0];
    V v = Op::template none<V>();
    for (int64_t k = first + lane(); k < last; k += warp_size)
      v = Op::fold(v, V(from[place_of(folded, k).at[0]]));
    for (int bits = warp_size / 2; bits > 0; bits /= 2) v = Op::fold(v, shuffle_xor(v, bits));
    if (lane() == 0) part[i] = v;
  });
}

template <class T, class V>
PARE_KERNEL void finish_kernel(const V* x, T* y, int64_t n, double share) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) y[i] = T(x[i] * V(share));
}

// The n results, in scratch memory.
template <class Op, class T, class V>
V* folds(const T* x, int64_t n, const Axes& kept, const Axes& folded) {
  const int64_t count = folded.elements();
  const bool side_by_side = kept.rank > 0 && kept.steps[0][kept.rank - 1] == 1;
  const bool by_thread = side_by_side || count < warp_size;
  const int64_t spans = ceil_div(count, by_thread ? thread_span : warp_span), items = spans * n;
  V* part = scratch<V>(items);
  if (by_thread)
    launch_over(thread_kernel<Op, T, V>, items, x, part, n, count, items, kept, folded);
  else
    launch_over_rows(warp_kernel<Op, T, V>, items, x, part, n, count, items, kept, folded);
  if (spans == 1) return part;
  Axes outputs, rest;
  outputs.add(n, 1, 0, 0);
  rest.add(spans, n, 0, 0);
  return folds<Op, V, V>(part, n, outputs, rest);
}

// Axes of x that the outputs keep, and those that are folded.
struct FoldedAxes {
  Axes kept, folded;
  FoldedAxes(const TensorArg& x, const Ints& axes) {
    const Steps steps(x, x);
    for (int i = 0; i < x.rank; ++i) {
      bool reduced = false;
      for (int k = 0; k < axes.size(); ++k) reduced = reduced || axes[k] == i;
      // An axis of one element has no step of its own: add() leaves it out.
      (reduced ? folded : kept).add(x.dims[i], steps.at[i], 0, 0);
    }
  }
};

template <class Op, bool mean>
Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const FoldedAxes split(x, args.attrs->ints("axes"));
  const double share = mean ? double(y.elements) / double(x.elements) : 1.0;
  return for_float(x.dtype, [&]<class T>(T) {
    using V = typename Op::template Value<T>;
    const V* result = folds<Op, T, V>(x.as<T>(), y.elements, split.kept, split.folded);
    launch_over(finish_kernel<T, V>, y.elements, result, y.as<T>(), y.elements, share);
  });
}

// Walks x with the place of each element's output.
Axes towards_outputs(const TensorArg& x, const TensorArg& y, const Ints& axes) {
  TensorArg whole = y;  // as if the reduced axes had stayed
  whole.rank = x.rank;
  for (int i = 0; i < x.rank; ++i) whole.dims[i] = x.dims[i];
  for (int k = 0; k < axes.size(); ++k) whole.dims[axes[k]] = 1;
  const Steps own(x, x), out(whole, x);
  Axes walk;
  for (int i = 0; i < x.rank; ++i) walk.add(x.dims[i], own.at[i], out.at[i], 0);
  return walk;
}

template <class T>
PARE_KERNEL void spread_kernel(const T* dy, T* dx, int64_t n, T share, Axes axes, bool accumulate) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const T g = dy[place_of(axes, i).at[1]] * share;
    dx[i] = accumulate ? dx[i] + g : g;
  }
}

template <bool mean>
Status sum_backward(const KernelArgs& args) {
  const TensorArg &dx = args.grad_inputs[0], &dy = args.grad_outputs[0];
  if (!dx.data) return Status::ok;
  const Axes axes = towards_outputs(dx, dy, args.attrs->ints("axes"));
  return for_float(dx.dtype, [&]<class T>(T) {
    const T share = mean ? T(double(dy.elements) / double(dx.elements)) : T(1);
    launch_over(spread_kernel<T>, dx.elements, dy.as<T>(), dx.as<T>(), dx.elements, share, axes,
                args.accumulate[0]);
  });
}

// The gradient goes to the first element that equals the largest.
template <class T>
PARE_KERNEL void first_kernel(const T* x, const T* y, int64_t* first, int64_t n, Axes axes) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const int64_t o = place_of(axes, i).at[1];
    if (x[i] == y[o]) atomic_min(first + o, i);
  }
}
template <class T>
PARE_KERNEL void take_kernel(const int64_t* first, const T* dy, T* dx, int64_t n, Axes axes,
                             bool accumulate) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const int64_t o = place_of(axes, i).at[1];
    const T g = first[o] == i ? dy[o] : T(0);
    dx[i] = accumulate ? dx[i] + g : g;
  }
}

Status max_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  const Axes axes = towards_outputs(x, y, args.attrs->ints("axes"));
  return for_float(dx.dtype, [&]<class T>(T) {
    int64_t* first = scratch<int64_t>(y.elements);
    fill(first, y.elements, std::numeric_limits<int64_t>::max());
    launch_over(first_kernel<T>, x.elements, x.as<T>(), y.as<T>(), first, x.elements, axes);
    launch_over(take_kernel<T>, dx.elements, first, args.grad_outputs[0].as<T>(), dx.as<T>(),
                dx.elements, axes, args.accumulate[0]);
  });
}

template <class T>
PARE_KERNEL void permute_kernel(const T* x, T* y, int64_t n, Axes axes, bool accumulate) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const T v = x[place_of(axes, i).at[0]];
    y[i] = accumulate ? y[i] + v : v;
  }
}

// Axis i of y is axis order[i] of x.
Status permute(const TensorArg& x, const TensorArg& y, const Ints& order, bool accumulate) {
  const Steps from(x, x), to(y, y);
  Axes axes;
  for (int i = 0; i < y.rank; ++i) axes.add(y.dims[i], from.at[order[i]], to.at[i], 0);
  const int last = axes.rank - 1;
  // Matrices, transposed one by one.
  const bool matrices =
      (axes.rank == 2 || (axes.rank == 3 && axes.steps[0][0] == axes.dims[1] * axes.dims[2])) &&
      axes.steps[0][last] == axes.dims[last - 1] && axes.steps[0][last - 1] == 1;
  return for_float(x.dtype, [&]<class T>(T) {
    if (matrices)
      transpose(x.as<T>(), y.as<T>(), axes.rank == 3 ? axes.dims[0] : 1, axes.dims[last],
                axes.dims[last - 1], accumulate);
    else
      launch_over(permute_kernel<T>, y.elements, x.as<T>(), y.as<T>(), y.elements, axes,
                  accumulate);
  });
}

Status transpose_forward(const KernelArgs& args) {
  return permute(args.inputs[0], args.outputs[0], args.attrs->ints("order"), false);
}
Status transpose_backward(const KernelArgs& args) {
  const TensorArg& dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  const Ints& order = args.attrs->ints("order");
  Ints inverse = order;
  for (int i = 0; i < order.size(); ++i) inverse.values[order[i]] = i;
  return permute(args.grad_outputs[0], dx, inverse, args.accumulate[0]);
}

constexpr KernelRow rows[] = {
    {"sum.forward", 1, guarded<forward<Sum, false>>},
    {"sum.backward", 1, guarded<sum_backward<false>>},
    {"mean.forward", 1, guarded<forward<Sum, true>>},
    {"mean.backward", 1, guarded<sum_backward<true>>},
    {"max.forward", 1, guarded<forward<Max, false>>},
    {"max.backward", 1, guarded<max_backward>},
    {"transpose.forward", 1, guarded<transpose_forward>},
    {"transpose.backward", 1, guarded<transpose_backward>},
};

}  // namespace

KernelList reduce_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
