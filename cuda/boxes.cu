// Kernel rows of the ops that move boxes of elements: slice, pad, concat, split. All say the same
// thing, small[i] = big[offset + i * step] per axis, in one direction or the other; storage order
// (plain or nhwc) only permutes the axes.
#include <iterator>

#include "cuda/axes.h"
#include "cuda/device.h"
#include "cuda/fill.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

// A walk over the small tensor, with the place in the big one.
struct Box {
  Axes axes;
  int64_t offset = 0, elements = 1;
};

// offset(axis) and step(axis) of the logical axes.
template <class Offset, class Step>
Box make_box(const TensorArg& small, const TensorArg& big, Offset&& offset, Step&& step) {
  static constexpr int nhwc[] = {0, 2, 3, 1};
  Box box;
  int64_t weights[Shape::max_rank], weight = 1;
  const auto stored = [&](int i) { return big.format == Format::nhwc ? nhwc[i] : i; };
  for (int i = big.rank - 1; i >= 0; --i) {
    weights[i] = weight;
    weight *= big.dims[stored(i)];
    box.offset += offset(stored(i)) * weights[i];
    box.elements *= small.dims[stored(i)];
  }
  int64_t own = box.elements;
  for (int i = 0; i < big.rank && own > 0; ++i) {
    const int axis = stored(i);
    own /= small.dims[axis];
    box.axes.add(small.dims[axis], own, weights[i] * step(axis), 0);
  }
  return box;
}

template <class T>
PARE_KERNEL void take_kernel(const T* big, T* small, int64_t n, Axes axes, bool accumulate) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const T v = big[place_of(axes, i).at[1]];
    small[i] = accumulate ? small[i] + v : v;
  }
}
template <class T>
PARE_KERNEL void put_kernel(const T* small, T* big, int64_t n, Axes axes, bool accumulate) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    T& to = big[place_of(axes, i).at[1]];
    to = accumulate ? to + small[i] : small[i];
  }
}
template <class T>
void take(const Box& b, const T* big, T* small, bool accumulate) {
  launch_over(take_kernel<T>, b.elements, big + b.offset, small, b.elements, b.axes, accumulate);
}
template <class T>
void put(const Box& b, const T* small, T* big, bool accumulate) {
  launch_over(put_kernel<T>, b.elements, small, big + b.offset, b.elements, b.axes, accumulate);
}

Box slice_box(const TensorArg& small, const TensorArg& big, const Attrs& attrs) {
  const Ints &begin = attrs.ints("begin"), &step = attrs.ints("step");
  return make_box(small, big, [&](int a) { return begin[a]; }, [&](int a) { return step[a]; });
}

Status slice_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    take(slice_box(y, x, *args.attrs), x.as<T>(), y.as<T>(), false);
  });
}
Status slice_backward(const KernelArgs& args) {
  const TensorArg &dx = args.grad_inputs[0], &dy = args.grad_outputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    if (!args.accumulate[0]) fill(dx.as<T>(), dx.elements, T(0));
    put(slice_box(dy, dx, *args.attrs), dy.as<T>(), dx.as<T>(), true);
  });
}

Box pad_box(const TensorArg& small, const TensorArg& big, const Attrs& attrs) {
  const Ints& before = attrs.ints("before");
  return make_box(small, big, [&](int a) { return before[a]; }, [](int) { return int64_t(1); });
}

Status pad_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    fill(y.as<T>(), y.elements, T(args.attrs->real("value")));
    put(pad_box(x, y, *args.attrs), x.as<T>(), y.as<T>(), false);
  });
}
Status pad_backward(const KernelArgs& args) {
  const TensorArg &dx = args.grad_inputs[0], &dy = args.grad_outputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    take(pad_box(dx, dy, *args.attrs), dy.as<T>(), dx.as<T>(), args.accumulate[0]);
  });
}

// Calls f(part, box) for each part of `whole` along the attribute axis; their extents there are an
// attribute too, for a part may be absent.
template <class F>
void over_parts(int count, const TensorArg& whole, const Attrs& attrs, F&& f) {
  const int axis = int(attrs.integer("axis"));
  const Ints& sizes = attrs.ints("sizes");
  int64_t begin = 0;
  for (int i = 0; i < count; ++i) {
    TensorArg part = whole;
    part.dims[axis] = sizes[i];
    f(i, make_box(
             part, whole, [&](int a) { return a == axis ? begin : 0; },
             [](int) { return int64_t(1); }));
    begin += sizes[i];
  }
}

Status concat_forward(const KernelArgs& args) {
  const TensorArg& y = args.outputs[0];
  return for_float(y.dtype, [&]<class T>(T) {
    over_parts(args.input_count, y, *args.attrs,
               [&](int i, const Box& box) { put(box, args.inputs[i].as<T>(), y.as<T>(), false); });
  });
}
Status concat_backward(const KernelArgs& args) {
  const TensorArg& dy = args.grad_outputs[0];
  return for_float(dy.dtype, [&]<class T>(T) {
    over_parts(args.input_count, dy, *args.attrs, [&](int i, const Box& box) {
      if (args.grad_inputs[i].data)
        take(box, dy.as<T>(), args.grad_inputs[i].as<T>(), args.accumulate[i]);
    });
  });
}

Status split_forward(const KernelArgs& args) {
  const TensorArg& x = args.inputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    over_parts(args.output_count, x, *args.attrs, [&](int i, const Box& box) {
      take(box, x.as<T>(), args.outputs[i].as<T>(), false);
    });
  });
}
Status split_backward(const KernelArgs& args) {
  const TensorArg& dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    over_parts(args.output_count, dx, *args.attrs, [&](int i, const Box& box) {
      put(box, args.grad_outputs[i].as<T>(), dx.as<T>(), args.accumulate[0]);
    });
  });
}

constexpr KernelRow rows[] = {
    {"slice.forward", 1, guarded<slice_forward>},
    {"slice.backward", 1, guarded<slice_backward>},
    {"pad.forward", 1, guarded<pad_forward>},
    {"pad.backward", 1, guarded<pad_backward>},
    {"concat.forward", 1, guarded<concat_forward>},
    {"concat.backward", 1, guarded<concat_backward>},
    {"split.forward", 1, guarded<split_forward>},
    {"split.backward", 1, guarded<split_backward>},
};

}  // namespace

KernelList box_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
