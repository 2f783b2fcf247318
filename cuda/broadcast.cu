// Kernel rows of add, sub, mul and div with broadcasting. Plain storage, except that equal shapes
// may lie in any one format. The gradient of a repeated input is the sum over its repetitions, by
// one thread or one block an element, in a fixed order.
#include <iterator>

#include "cuda/axes.h"
#include "cuda/device.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

struct Add {  // its gradient is passed on as it is
  template <class T>
  PARE_HD static T f(T a, T b) {
    return a + b;
  }
};
struct Sub {
  template <class T>
  PARE_HD static T f(T a, T b) {
    return a - b;
  }
  template <class T>
  PARE_HD static T df(int input, T, T) {
    return input == 0 ? T(1) : T(-1);
  }
};
struct Mul {
  template <class T>
  PARE_HD static T f(T a, T b) {
    return a * b;
  }
  template <class T>
  PARE_HD static T df(int input, T a, T b) {
    return input == 0 ? b : a;
  }
};
struct Div {
  template <class T>
  PARE_HD static T f(T a, T b) {
    return a / b;
  }
  template <class T>
  PARE_HD static T df(int input, T a, T b) {
    return input == 0 ? T(1) / b : -a / (b * b);
  }
};

// Tensors of a walk: a, b, y (or dy).
template <class Op, class T>
PARE_KERNEL void forward_kernel(const T* a, const T* b, T* y, int64_t n, Axes axes) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const Place p = place_of(axes, i);
    y[p.at[2]] = Op::f(a[p.at[0]], b[p.at[1]]);
  }
}

// d[i] (+)= sum over `repeated` of dy f'(a, b); `kept` walks d.
template <class Op, class T>
PARE_KERNEL void backward_kernel(int input, const T* a, const T* b, const T* dy, T* d, int64_t n,
                                 int64_t repetitions, Axes kept, Axes repeated, bool accumulate) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const Place p = place_of(kept, i);
    T sum = T(0);
    for (int64_t k = 0; k < repetitions; ++k) {
      const Place q = place_of(repeated, k);
      sum += dy[p.at[2] + q.at[2]] * Op::df(input, a[p.at[0] + q.at[0]], b[p.at[1] + q.at[1]]);
    }
    d[i] = accumulate ? d[i] + sum : sum;
  }
}
template <class Op, class T>
PARE_KERNEL void block_backward_kernel(int input, const T* a, const T* b, const T* dy, T* d,
                                       int64_t n, int64_t repetitions, Axes kept, Axes repeated,
                                       bool accumulate) {
  PARE_SHARED(T, partial, threads_per_block / warp_size);
  for (int64_t i = block_x(); i < n; i += grid_width()) {
    const Place p = place_of(kept, i);
    T sum = T(0);
    for (int64_t k = thread_x(); k < repetitions; k += block_width()) {
      const Place q = place_of(repeated, k);
      sum += dy[p.at[2] + q.at[2]] * Op::df(input, a[p.at[0] + q.at[0]], b[p.at[1] + q.at[1]]);
    }
    sum = block_sum(sum, partial);
    if (thread_x() == 0) d[i] = accumulate ? d[i] + sum : sum;
  }
}

template <class Op>
Status forward(const KernelArgs& args) {
  const TensorArg &a = args.inputs[0], &b = args.inputs[1], &y = args.outputs[0];
  const bool same = a.elements == y.elements && b.elements == y.elements;
  const Steps sa(a, y), sb(b, y), sy(y, y);
  Axes axes;
  for (int i = 0; i < y.rank && !same; ++i) axes.add(y.dims[i], sa.at[i], sb.at[i], sy.at[i]);
  if (same) axes.add(y.elements, 1, 1, 1);
  return for_float(y.dtype, [&]<class T>(T) {
    launch_over(forward_kernel<Op, T>, y.elements, a.as<T>(), b.as<T>(), y.as<T>(), y.elements,
                axes);
  });
}

template <class Op>
Status backward(const KernelArgs& args) {
  const TensorArg &a = args.inputs[0], &b = args.inputs[1], &dy = args.grad_outputs[0];
  const bool same = a.elements == dy.elements && b.elements == dy.elements;
  const Steps sa(a, dy), sb(b, dy), sy(dy, dy);
  return for_float(dy.dtype, [&]<class T>(T) {
    for (int input = 0; input < 2; ++input) {
      const TensorArg& d = args.grad_inputs[input];
      if (!d.data) continue;
      Axes kept, repeated;
      if (same) kept.add(dy.elements, 1, 1, 1);
      for (int i = 0; i < dy.rank && !same; ++i) {
        const int64_t own = (input == 0 ? sa : sb).at[i];
        (own ? kept : repeated).add(dy.dims[i], sa.at[i], sb.at[i], sy.at[i]);
      }
      const int64_t repetitions = repeated.elements();
      const auto run = [&](auto kernel, int64_t blocks) {
        launch(kernel, blocks, threads_per_block, 0, stream(), input, a.as<T>(), b.as<T>(),
               dy.as<T>(), d.as<T>(), d.elements, repetitions, kept, repeated,
               args.accumulate[input]);
      };
      if (repetitions < threads_per_block)
        run(backward_kernel<Op, T>, blocks_for(d.elements));
      else
        run(block_backward_kernel<Op, T>, d.elements < 65535 ? d.elements : 65535);
    }
  });
}

constexpr KernelRow rows[] = {
    {"add.forward", 1, guarded<forward<Add>>},   {"sub.forward", 1, guarded<forward<Sub>>},
    {"sub.backward", 1, guarded<backward<Sub>>}, {"mul.forward", 1, guarded<forward<Mul>>},
    {"mul.backward", 1, guarded<backward<Mul>>}, {"div.forward", 1, guarded<forward<Div>>},
    {"div.backward", 1, guarded<backward<Div>>},
};

}  // namespace

KernelList broadcast_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
