// Kernel rows of fake_quant, fake_quant_weight, quantize and dequantize: the arithmetic of
// compress/quantize/arithmetic.h, so the CPU's bits.
#include <bit>
#include <iterator>

#include "compress/quantize/arithmetic.h"
#include "cuda/device.h"
#include "cuda/fault.h"
#include "cuda/rows.h"
#include "cuda/warp_rows.h"

namespace pare::cuda {
namespace {

constexpr int64_t span = 4096;  // elements that one warp looks at

// Smallest and largest of each span and 0; NaN is passed over.
PARE_KERNEL void span_range_kernel(const float* x, int64_t n, float* lows, float* highs,
                                   int64_t spans) {
  over_rows(spans, [&](int64_t s) {
    const int64_t last = (s + 1) * span < n ? (s + 1) * span : n;
    float low = 0, high = 0;
    for (int64_t i = s * span + lane(); i < last; i += warp_size) {
      low = x[i] < low ? x[i] : low;
      high = x[i] > high ? x[i] : high;
    }
    low = -warp_max(-low);
    high = warp_max(high);
    if (lane() == 0) {
      lows[s] = low;
      highs[s] = high;
    }
  });
}

// One block: moves the range towards what the spans saw.
PARE_KERNEL void move_range_kernel(const float* lows, const float* highs, int64_t spans,
                                   float momentum, float* range) {
  PARE_SHARED(float, partial, warps_per_block);
  float low = 0, high = 0;
  for (int64_t i = thread_x(); i < spans; i += block_width()) {
    low = lows[i] < low ? lows[i] : low;
    high = highs[i] > high ? highs[i] : high;
  }
  low = -block_max(-low, partial);
  high = block_max(high, partial);
  if (thread_x() > 0) return;
  const bool first = range[0] == 0 && range[1] == 0;
  range[0] = moved(range[0], low, momentum, first);
  range[1] = moved(range[1], high, momentum, first);
}

PARE_DEVICE inline bool is_range(float low, float high) {
  return low - low == 0 && high - high == 0 && low <= high;
}

PARE_KERNEL void fake_quant_kernel(const float* x, float* y, int64_t n, const float* range,
                                   Fault* fault) {
  const float low = range[0], high = range[1];
  if (!is_range(low, high)) {
    if (global_x() == 0)
      note_fault(fault, Fault::range_wrong, std::bit_cast<int32_t>(low),
                 std::bit_cast<int32_t>(high), 0);
    for (int64_t i = global_x(); i < n; i += grid_threads()) y[i] = NAN;
    return;
  }
  const Quantizer q = quantizer_of_finite(low, high);
  for (int64_t i = global_x(); i < n; i += grid_threads())
    y[i] = dequantize_value(quantize_value(x[i], q), q);
}

Status fake_quant_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0], &range = args.buffers[0];
  if (args.training && args.attrs->integer("observe")) {
    const int64_t spans = ceil_div(x.elements, span);
    float *lows = scratch<float>(spans), *highs = scratch<float>(spans);
    launch_over_rows(span_range_kernel, spans, x.as<float>(), x.elements, lows, highs, spans);
    launch(move_range_kernel, 1, threads_per_block, 0, stream(), lows, highs, spans,
           float(args.attrs->real("momentum")), range.as<float>());
  }
  launch_over(fake_quant_kernel, x.elements, x.as<float>(), y.as<float>(), x.elements,
              range.as<float>(), fault_record());
  return Status::ok;
}

// The gradient passes where x lies in the range.
PARE_KERNEL void fake_quant_gradient_kernel(const float* x, const float* dy, float* dx, int64_t n,
                                            const float* range, bool accumulate) {
  const Quantizer q = quantizer_of_finite(range[0], range[1]);
  const float low = lowest_kept(q), high = highest_kept(q);
  for (int64_t i = global_x(); i < n; i += grid_threads()) {
    const float g = x[i] >= low && x[i] <= high ? dy[i] : 0.0f;
    dx[i] = accumulate ? dx[i] + g : g;
  }
}

Status fake_quant_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &dy = args.grad_outputs[0], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  launch_over(fake_quant_gradient_kernel, x.elements, x.as<float>(), dy.as<float>(), dx.as<float>(),
              x.elements, args.buffers[0].as<float>(), args.accumulate[0]);
  return Status::ok;
}

// One warp an output channel.
PARE_KERNEL void round_weights_kernel(const float* w, float* y, int64_t channels, int64_t in) {
  over_rows(channels, [&](int64_t c) {
    const float* from = w + c * in;
    float largest = 0;
    for (int64_t i = lane(); i < in; i += warp_size) {
      const float v = from[i] < 0 ? -from[i] : from[i];
      largest = largest < v ? v : largest;
    }
    const float scale = scale_of_largest(warp_max(largest));
    for (int64_t i = lane(); i < in; i += warp_size) y[c * in + i] = round_weight(from[i], scale);
  });
}

Status fake_quant_weight(const KernelArgs& args) {
  const TensorArg &w = args.inputs[0], &y = args.outputs[0];
  const int64_t out = w.dims[0];
  if (out > 0)
    launch_over_rows(round_weights_kernel, out, w.as<float>(), y.as<float>(), out,
                     w.elements / out);
  return Status::ok;
}

PARE_KERNEL void quantize_kernel(const float* x, uint8_t* y, int64_t n, Quantizer q) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) y[i] = quantize_value(x[i], q);
}
PARE_KERNEL void dequantize_kernel(const uint8_t* x, float* y, int64_t n, Quantizer q) {
  for (int64_t i = global_x(); i < n; i += grid_threads()) y[i] = dequantize_value(x[i], q);
}

Quantizer quantizer_in(const Attrs& attrs) {
  return {float(attrs.real("scale")), int32_t(attrs.integer("zero"))};
}
Status quantize(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  launch_over(quantize_kernel, x.elements, x.as<float>(), y.as<uint8_t>(), x.elements,
              quantizer_in(*args.attrs));
  return Status::ok;
}
Status dequantize(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &y = args.outputs[0];
  launch_over(dequantize_kernel, x.elements, x.as<uint8_t>(), y.as<float>(), x.elements,
              quantizer_in(*args.attrs));
  return Status::ok;
}

constexpr KernelRow rows[] = {
    {"fake_quant.forward", 1, guarded<fake_quant_forward>},
    {"fake_quant.backward", 1, guarded<fake_quant_backward>},
    {"fake_quant_weight.forward", 1, guarded<fake_quant_weight>},
    {"quantize.forward", 1, guarded<quantize>},
    {"dequantize.forward", 1, guarded<dequantize>},
};

}  // namespace

KernelList quantize_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
