// Kernel rows of dropout. Logical element i is kept when the 32 random bits at counter i / 4, lane
// i % 4, under the node's key are at least p * 2^32.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/random.h"
#include "core/thread_pool.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

constexpr int64_t tile = 4096;

// Calls f(place in storage, kept) for every element; nhwc storage is walked in logical order.
template <class F>
void over_elements(const TensorArg& x, uint64_t key, double p, F&& f) {
  const uint64_t threshold = uint64_t(std::llround(p * 0x1p32));
  const bool nhwc = x.format == Format::nhwc;
  const int64_t channels = nhwc ? x.dims[1] : 1, pixels = nhwc ? x.dims[2] * x.dims[3] : 1;
  parallel_for((x.elements + tile - 1) / tile, [&](int64_t t) {
    const int64_t end = std::min(x.elements, (t + 1) * tile);
    std::array<uint32_t, 4> bits{};
    for (int64_t i = t * tile; i < end; ++i) {
      if (i % 4 == 0) bits = philox(key, uint64_t(i / 4));
      const int64_t image = i / (channels * pixels), c = i / pixels % channels, at = i % pixels;
      f(nhwc ? (image * pixels + at) * channels + c : i, bits[size_t(i % 4)] >= threshold);
    }
  });
}

Status forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  const double p = args.training ? args.attrs->real("p") : 0;
  return for_float(x.dtype, [&]<class T>(T) {
    const T scale = T(1 / (1 - p));
    over_elements(x, args.key, p,
                  [&](int64_t i, bool kept) { y.as<T>()[i] = kept ? x.as<T>()[i] * scale : T(0); });
  });
}

Status backward(const KernelArgs& args) {
  const TensorArg &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  const double p = args.training ? args.attrs->real("p") : 0;
  return for_float(dx.dtype, [&]<class T>(T) {
    const T scale = T(1 / (1 - p));
    over_elements(dx, args.key, p, [&](int64_t i, bool kept) {
      const T g = kept ? dy.as<T>()[i] * scale : T(0);
      dx.as<T>()[i] = args.accumulate[0] ? dx.as<T>()[i] + g : g;
    });
  });
}

constexpr KernelRow rows[] = {{"dropout.forward", 1, forward}, {"dropout.backward", 1, backward}};

}  // namespace

KernelList dropout_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
