// Kernel rows of the ops that move boxes of elements: slice, pad, concat, split. All say the same
// thing, small[i] = big[offset + i * step] per axis, in one direction or the other; storage order
// (plain or nhwc) only permutes the axes.
#include <cstring>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

struct Box {
  int rank = 0;
  int64_t small[Shape::max_rank], big[Shape::max_rank];  // extents, outermost first as stored
  int64_t offset[Shape::max_rank], step[Shape::max_rank];
};

// Logical axis of each stored one.
void stored_axes(const TensorArg& t, int* axes) {
  for (int i = 0; i < t.rank; ++i) axes[i] = i;
  if (t.format == Format::nhwc) {
    axes[1] = 2;
    axes[2] = 3;
    axes[3] = 1;
  }
}

template <class Offset, class Step>
Box make_box(const TensorArg& small, const TensorArg& big, Offset&& offset, Step&& step) {
  Box b;
  b.rank = big.rank;
  int axes[Shape::max_rank];
  stored_axes(big, axes);
  for (int i = 0; i < b.rank; ++i) {
    b.small[i] = small.dims[axes[i]];
    b.big[i] = big.dims[axes[i]];
    b.offset[i] = offset(axes[i]);
    b.step[i] = step(axes[i]);
  }
  return b;
}

// Calls f(first element in small, first element in big, count, step in big) for each innermost run;
// the outermost axis is spread over the threads.
template <class F>
void over_runs(const Box& b, F&& f) {
  int64_t rows = 1, total = 1;
  for (int i = 0; i < b.rank; ++i) total *= b.small[i];
  if (total == 0) return;
  for (int i = 1; i + 1 < b.rank; ++i) rows *= b.small[i];
  const int last = b.rank - 1;
  parallel_for(b.rank > 1 ? b.small[0] : 1, [&](int64_t outer) {
    for (int64_t r = 0; r < rows; ++r) {
      int64_t at = 0, rest = r, weight = 1;
      if (b.rank > 1) {
        int64_t index[Shape::max_rank] = {outer};
        for (int i = last - 1; i >= 1; --i) {
          index[i] = rest % b.small[i];
          rest /= b.small[i];
        }
        weight = b.big[last];
        for (int i = last - 1; i >= 0; --i) {
          at += (b.offset[i] + index[i] * b.step[i]) * weight;
          weight *= b.big[i];
        }
      }
      f((outer * rows + r) * b.small[last], at + b.offset[last], b.small[last], b.step[last]);
    }
  });
}

template <class T>
void take(const Box& b, const T* big, T* small, bool accumulate) {
  over_runs(b, [&](int64_t s, int64_t at, int64_t n, int64_t step) {
    if (step == 1 && !accumulate) {
      std::memcpy(small + s, big + at, size_t(n) * sizeof(T));
      return;
    }
    for (int64_t i = 0; i < n; ++i)
      small[s + i] = accumulate ? small[s + i] + big[at + i * step] : big[at + i * step];
  });
}

template <class T>
void put(const Box& b, const T* small, T* big, bool accumulate) {
  over_runs(b, [&](int64_t s, int64_t at, int64_t n, int64_t step) {
    if (step == 1 && !accumulate) {
      std::memcpy(big + at, small + s, size_t(n) * sizeof(T));
      return;
    }
    for (int64_t i = 0; i < n; ++i)
      big[at + i * step] = accumulate ? big[at + i * step] + small[s + i] : small[s + i];
  });
}

template <class T>
void fill(const TensorArg& t, T value) {
  for (int64_t i = 0; i < t.elements; ++i) t.as<T>()[i] = value;
}

Box slice_box(const TensorArg& small, const TensorArg& big, const Attrs& attrs) {
  const Ints &begin = attrs.ints("begin"), &step = attrs.ints("step");
  return make_box(
      small, big, [&](int a) { return begin[a]; },
      // A step beyond the axis is never taken.
      [&](int a) { return step[a] < big.dims[a] ? step[a] : big.dims[a]; });
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
    if (!args.accumulate[0]) fill(dx, T(0));
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
    fill(y, T(args.attrs->real("value")));
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

// Calls f(part, box) for each part of `whole` along the attribute axis.
template <class F>
void over_parts(const TensorArg* parts, int count, const TensorArg& whole, const Attrs& attrs,
                F&& f) {
  const int axis = int(attrs.integer("axis"));
  int64_t begin = 0;
  for (int i = 0; i < count; ++i) {
    // An absent part (no gradient wanted, or none given) still takes its place.
    f(i, make_box(
             parts[i], whole, [&](int a) { return a == axis ? begin : 0; },
             [](int) { return int64_t(1); }));
    begin += parts[i].dims[axis];
  }
}

Status concat_forward(const KernelArgs& args) {
  const TensorArg& y = args.outputs[0];
  return for_float(y.dtype, [&]<class T>(T) {
    over_parts(args.inputs, args.input_count, y, *args.attrs,
               [&](int i, const Box& box) { put(box, args.inputs[i].as<T>(), y.as<T>(), false); });
  });
}
Status concat_backward(const KernelArgs& args) {
  const TensorArg& dy = args.grad_outputs[0];
  return for_float(dy.dtype, [&]<class T>(T) {
    // Sizes come from the inputs' places: their extents are attributes, for inputs are not saved.
    const Ints& sizes = args.attrs->ints("sizes");
    TensorArg parts[Ints::capacity];
    for (int i = 0; i < args.input_count; ++i) {
      parts[i] = dy;
      parts[i].dims[args.attrs->integer("axis")] = sizes[i];
    }
    over_parts(parts, args.input_count, dy, *args.attrs, [&](int i, const Box& box) {
      if (args.grad_inputs[i].data)
        take(box, dy.as<T>(), args.grad_inputs[i].as<T>(), args.accumulate[i]);
    });
  });
}

Status split_forward(const KernelArgs& args) {
  const TensorArg& x = args.inputs[0];
  return for_float(x.dtype, [&]<class T>(T) {
    over_parts(args.outputs, args.output_count, x, *args.attrs, [&](int i, const Box& box) {
      take(box, x.as<T>(), args.outputs[i].as<T>(), false);
    });
  });
}
Status split_backward(const KernelArgs& args) {
  const TensorArg& dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    over_parts(args.grad_outputs, args.output_count, dx, *args.attrs, [&](int i, const Box& box) {
      put(box, args.grad_outputs[i].as<T>(), dx.as<T>(), args.accumulate[0]);
    });
  });
}

constexpr KernelRow rows[] = {
    {"slice.forward", 1, slice_forward},   {"slice.backward", 1, slice_backward},
    {"pad.forward", 1, pad_forward},       {"pad.backward", 1, pad_backward},
    {"concat.forward", 1, concat_forward}, {"concat.backward", 1, concat_backward},
    {"split.forward", 1, split_forward},   {"split.backward", 1, split_backward}};

}  // namespace

KernelList box_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
