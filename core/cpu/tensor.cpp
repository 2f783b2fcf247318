// Kernel rows that tensors themselves need: filling, element types, masks, and copies between
// storage formats (plain, which is NCHW, and nhwc).
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "core/cpu/backend_cpu.h"
#include "core/element.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

// out[i][c][r] from in[i][r][c], in tiles that stay in the first-level cache.
template <class T>
void transpose(const T* in, T* out, int64_t batch, int64_t rows, int64_t columns) {
  constexpr int64_t tile = 16;
  for (int64_t b = 0; b < batch; ++b, in += rows * columns, out += rows * columns)
    for (int64_t r0 = 0; r0 < rows; r0 += tile)
      for (int64_t c0 = 0; c0 < columns; c0 += tile) {
        const int64_t r1 = r0 + tile < rows ? r0 + tile : rows;
        const int64_t c1 = c0 + tile < columns ? c0 + tile : columns;
        for (int64_t r = r0; r < r1; ++r)
          for (int64_t c = c0; c < c1; ++c) out[c * rows + r] = in[r * columns + c];
      }
}

Status convert_format(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const size_t width = size_of(x.dtype);
  const bool to_nhwc = x.format == Format::plain && y.format == Format::nhwc;
  const bool to_plain = x.format == Format::nhwc && y.format == Format::plain;
  if (x.format == y.format || (x.rank == 4 && (x.dims[1] == 1 || x.dims[2] * x.dims[3] == 1))) {
    std::memcpy(y.data, x.data, size_t(x.elements) * width);
    return Status::ok;
  }
  if (x.rank != 4 || !(to_nhwc || to_plain)) return Status::unsupported;
  const int64_t channels = x.dims[1], pixels = x.dims[2] * x.dims[3];
  const int64_t rows = to_nhwc ? channels : pixels, columns = to_nhwc ? pixels : channels;
  switch (width) {
    case 1:
      transpose(x.as<uint8_t>(), y.as<uint8_t>(), x.dims[0], rows, columns);
      break;
    case 4:
      transpose(x.as<uint32_t>(), y.as<uint32_t>(), x.dims[0], rows, columns);
      break;
    case 8:
      transpose(x.as<uint64_t>(), y.as<uint64_t>(), x.dims[0], rows, columns);
      break;
    default:
      return Status::unsupported;
  }
  return Status::ok;
}

Status convert_type(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  with_type(x.dtype, [&](auto from) {
    with_type(y.dtype, [&](auto to) {
      using To = decltype(to);
      std::transform(x.as<decltype(from)>(), x.as<decltype(from)>() + x.elements, y.as<To>(),
                     [](auto v) { return convert_value<To>(v); });
    });
  });
  return Status::ok;
}

Status fill(const KernelArgs& args) {
  const TensorArg& y = args.outputs[0];
  with_type(y.dtype, [&](auto tag) {
    using T = decltype(tag);
    std::fill_n(y.as<T>(), y.elements, convert_value<T>(args.attrs->real("value")));
  });
  return Status::ok;
}

// y = 0 where the mask (inputs[0], u8) is 0. Nothing is written where that holds already, which is
// the rule: others may be reading.
Status zero_masked(const KernelArgs& args) {
  const TensorArg &mask = args.inputs[0], &y = args.outputs[0];
  return for_float(y.dtype, [&]<class T>(T) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    constexpr int64_t stretch = 2048;
    for (int64_t first = 0; first < y.elements; first += stretch) {
      const uint8_t* keep = mask.as<uint8_t>() + first;
      T* x = y.as<T>() + first;
      const int64_t n = std::min(stretch, y.elements - first);
      Bits dropped = 0;  // of -0 and NaN too
      for (int64_t i = 0; i < n; ++i) dropped |= keep[i] ? Bits(0) : std::bit_cast<Bits>(x[i]);
      for (int64_t i = 0; dropped && i < n; ++i)
        if (!keep[i]) x[i] = T(0);
    }
  });
}

constexpr KernelRow rows[] = {{"convert_format", 1, convert_format},
                              {"convert_type", 1, convert_type},
                              {"fill", 1, fill},
                              {"zero_masked", 1, zero_masked}};

}  // namespace

KernelList tensor_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
