#include "core/fetch.h"

#include <algorithm>
#include <vector>

#include "core/backend.h"
#include "core/element.h"
#include "core/error.h"
#include "core/tensor_arg.h"

namespace pare {

void fetch(std::span<const Tensor> from, std::span<double> to) {
  if (from.empty()) return;
  const Device device = from[0].device();
  size_t elements = 0;
  for (const Tensor& t : from) {
    check(t.device() == device, "fetch: tensors on {} and {}", device, t.device());
    elements += size_t(t.elements());
  }
  check(elements == to.size(), "fetch: {} elements, room for {}", elements, to.size());
  if (device.type == DeviceType::cpu) {
    double* next = to.data();
    for (const Tensor& t : from) {
      const Tensor plain = t.plain();
      with_type(t.dtype(), [&](auto tag) {
        const auto* p = plain.data<decltype(tag)>();
        next = std::transform(p, p + t.elements(), next, [](auto v) { return double(v); });
      });
    }
    return;
  }
  static const Kernel gather("gather_values");
  std::vector<Tensor> plain;
  std::vector<TensorArg> in;
  for (const Tensor& t : from) {
    plain.push_back(t.plain());
    in.push_back(tensor_arg(plain.back()));
  }
  const Tensor all = Tensor::empty({int64_t(elements)}, DType::f64, Format::plain, device);
  const TensorArg out = tensor_arg(all);
  KernelArgs args;
  args.inputs = in.data();
  args.input_count = int(in.size());
  args.outputs = &out;
  args.output_count = 1;
  gather(device, args);
  copy_bytes(device, to.data(), all.raw(), all.bytes(), Direction::to_host);
}

}  // namespace pare
