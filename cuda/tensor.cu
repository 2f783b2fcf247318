// Kernel rows that tensors themselves need: filling, element types, masks, storage formats.
#include <iterator>

#include "core/element.h"
#include "cuda/device.h"
#include "cuda/fill.h"
#include "cuda/rows.h"
#include "cuda/transpose.h"

namespace pare::cuda {
namespace {

template <class From, class To>
PARE_KERNEL void convert_kernel(const From* x, To* y, int64_t n) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) y[i] = convert_value<To>(x[i]);
}

template <class T>
PARE_KERNEL void zero_masked_kernel(const uint8_t* mask, T* y, int64_t n) {
  for (int64_t i = global_x(); i < n; i += grid_threads())
    if (!mask[i]) y[i] = T(0);
}

// Small tensors of any element type, for gather_values.
struct Sources {
  static constexpr int most = 64;
  const void* at[most];
  int32_t dtype[most];
  int64_t count[most], begin[most];
  int parts = 0;
};
template <class T>
PARE_DEVICE inline void take_values(const void* from, double* to, int64_t n) {
  for (int64_t k = 0; k < n; ++k) to[k] = double(static_cast<const T*>(from)[k]);
}
PARE_KERNEL void gather_kernel(Sources from, double* to) {
  for (int i = thread_x(); i < from.parts; i += block_width()) {
    double* own = to + from.begin[i];
    switch (DType(from.dtype[i])) {
      case DType::f32:
        take_values<float>(from.at[i], own, from.count[i]);
        break;
      case DType::f64:
        take_values<double>(from.at[i], own, from.count[i]);
        break;
      case DType::i32:
        take_values<int32_t>(from.at[i], own, from.count[i]);
        break;
      case DType::i64:
        take_values<int64_t>(from.at[i], own, from.count[i]);
        break;
      case DType::i8:
        take_values<int8_t>(from.at[i], own, from.count[i]);
        break;
      default:
        take_values<uint8_t>(from.at[i], own, from.count[i]);
    }
  }
}

// outputs[0], f64: the elements of all inputs, one after another.
Status gather_values(const KernelArgs& args) {
  int64_t begin = 0;
  for (int i = 0; i < args.input_count;) {
    Sources from;
    for (; i < args.input_count && from.parts < Sources::most; ++i) {
      const TensorArg& x = args.inputs[i];
      from.at[from.parts] = x.data;
      from.dtype[from.parts] = int32_t(x.dtype);
      from.count[from.parts] = x.elements;
      from.begin[from.parts++] = begin;
      begin += x.elements;
    }
    launch(gather_kernel, 1, Sources::most, 0, stream(), from, args.outputs[0].as<double>());
  }
  return Status::ok;
}

Status fill_tensor(const KernelArgs& args) {
  const TensorArg& y = args.outputs[0];
  const double value = args.attrs->real("value");
  with_type(y.dtype, [&](auto tag) {
    using T = decltype(tag);
    fill(y.as<T>(), y.elements, convert_value<T>(value));
  });
  return Status::ok;
}

Status convert_type(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  with_type(x.dtype, [&](auto from) {
    with_type(y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      launch_over(convert_kernel<From, To>, x.elements, x.as<From>(), y.as<To>(), x.elements);
    });
  });
  return Status::ok;
}

Status zero_masked(const KernelArgs& args) {
  const TensorArg &mask = args.inputs[0], &y = args.outputs[0];
  return for_float(y.dtype, [&]<class T>(T) {
    launch_over(zero_masked_kernel<T>, y.elements, mask.as<uint8_t>(), y.as<T>(), y.elements);
  });
}

Status convert_format(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const bool to_nhwc = x.format == Format::plain && y.format == Format::nhwc;
  const bool to_plain = x.format == Format::nhwc && y.format == Format::plain;
  if (x.rank != 4 || !(to_nhwc || to_plain)) return Status::unsupported;
  const int64_t channels = x.dims[1], pixels = x.dims[2] * x.dims[3];
  const int64_t rows = to_nhwc ? channels : pixels, columns = to_nhwc ? pixels : channels;
  switch (size_of(x.dtype)) {
    case 1:
      transpose(x.as<uint8_t>(), y.as<uint8_t>(), x.dims[0], rows, columns, false);
      return Status::ok;
    case 4:
      transpose(x.as<uint32_t>(), y.as<uint32_t>(), x.dims[0], rows, columns, false);
      return Status::ok;
    default:
      transpose(x.as<uint64_t>(), y.as<uint64_t>(), x.dims[0], rows, columns, false);
      return Status::ok;
  }
}

constexpr KernelRow rows[] = {
    {"fill", 1, guarded<fill_tensor>},
    {"gather_values", 1, guarded<gather_values>},
    {"convert_type", 1, guarded<convert_type>},
    {"zero_masked", 1, guarded<zero_masked>},
    {"convert_format", 1, guarded<convert_format>},
};

}  // namespace

KernelList tensor_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
