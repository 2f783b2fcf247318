// Kernel rows of dropout. Logical element i is kept when the 32 random bits at counter i / 4, lane
// i % 4, under the node's key are at least p * 2^32: the stream of the CPU. Where run_key is not
// null, the step is recorded, and its part of the key is read there at every replay.
#include <cmath>
#include <iterator>

#include "core/random.h"
#include "cuda/device.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

template <class T>
struct Drop {
  uint64_t key, threshold;
  T scale;
  bool accumulate;
  PARE_DEVICE void operator()(uint32_t bits, const T* x, T* y) const {
    const T v = bits >= threshold ? *x * scale : T(0);
    *y = accumulate ? *y + v : v;
  }
};

template <class T>
PARE_KERNEL void plain_kernel(const T* x, T* y, int64_t n, Drop<T> drop, const uint64_t* run_key) {
  if (run_key) drop.key = mix_keys(*run_key, drop.key);
  for (int64_t q = global_x(); q * 4 < n; q += grid_threads()) {
    const auto bits = philox(drop.key, uint64_t(q));
    for (int k = 0; k < 4 && q * 4 + k < n; ++k)
      drop(bits[size_t(k)], x + q * 4 + k, y + q * 4 + k);
  }
}

// In the order of storage, so that memory moves in lines; every thread works out its bits alone.
template <class T>
PARE_KERNEL void nhwc_kernel(const T* x, T* y, int64_t n, int64_t channels, int64_t pixels,
                             Drop<T> drop, const uint64_t* run_key) {
  if (run_key) drop.key = mix_keys(*run_key, drop.key);
  for (int64_t s = global_x(); s < n; s += grid_threads()) {
    const int64_t c = s % channels, at = s / channels % pixels, image = s / (channels * pixels);
    const int64_t i = (image * channels + c) * pixels + at;
    // Chosen, not indexed: words that are indexed lie in local memory.
    const auto bits = philox(drop.key, uint64_t(i / 4));
    const bool odd = i % 2 != 0;
    const uint32_t low = odd ? bits[1] : bits[0], high = odd ? bits[3] : bits[2];
    drop(i % 4 < 2 ? low : high, x + s, y + s);
  }
}

Status run(const KernelArgs& args, const TensorArg& x, const TensorArg& y, bool accumulate) {
  const double p = args.training ? args.attrs->real("p") : 0;
  return for_float(x.dtype, [&]<class T>(T) {
    const Drop<T> drop{args.key, uint64_t(std::llround(p * 0x1p32)), T(1 / (1 - p)), accumulate};
    if (x.format == Format::nhwc)
      launch_over(nhwc_kernel<T>, x.elements, x.as<T>(), y.as<T>(), x.elements, x.dims[1],
                  x.dims[2] * x.dims[3], drop, args.run_key);
    else
      launch_over(plain_kernel<T>, ceil_div(x.elements, 4), x.as<T>(), y.as<T>(), x.elements, drop,
                  args.run_key);
  });
}

Status forward(const KernelArgs& args) { return run(args, args.inputs[0], args.outputs[0], false); }
Status backward(const KernelArgs& args) {
  if (!args.grad_inputs[0].data) return Status::ok;
  return run(args, args.grad_outputs[0], args.grad_inputs[0], args.accumulate[0]);
}

constexpr KernelRow rows[] = {{"dropout.forward", 1, guarded<forward>},
                              {"dropout.backward", 1, guarded<backward>}};

}  // namespace

KernelList dropout_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
