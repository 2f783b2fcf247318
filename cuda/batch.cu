// What a training step begins with: a batch made from the examples that lie on the device.
#include <iterator>

#include "core/placement.h"
#include "cuda/device.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

struct Images {
  int64_t channels, height, width;
};

// One image a block: gathered by its index, moved and mirrored as its draw says, normalized as
// x a + b of its channel. The arithmetic of datasets/augment.cpp, to the bit.
template <class T>
PARE_KERNEL void make_batch_kernel(const T* images, const int32_t* labels, const int64_t* order,
                                   const float* affine, float* out, int32_t* out_labels,
                                   Images size, uint64_t key, int64_t shift, bool flip) {
  const int64_t index = order[block_x()], plane = size.height * size.width;
  const int64_t elements = size.channels * plane;
  Placement p;
  if (shift > 0 || flip) p = draw_placement(key, uint64_t(index), shift, flip);
  const T* image = images + index * elements;
  float* to = out + block_x() * elements;
  for (int64_t i = thread_x(); i < elements; i += block_width()) {
    const int64_t c = i / plane, y = i % plane / size.width, x = i % size.width;
    const int64_t from_y = y - p.dy, from_x = (p.flip ? size.width - 1 - x : x) - p.dx;
    const float a = affine[2 * c], b = affine[2 * c + 1];
    const bool inside = from_y >= 0 && from_y < size.height && from_x >= 0 && from_x < size.width;
    to[i] = inside ? float(image[c * plane + from_y * size.width + from_x]) * a + b : b;
  }
  if (thread_x() == 0) out_labels[block_x()] = labels[index];
}

Status make_batch(const KernelArgs& args) {
  const TensorArg &images = args.inputs[0], &out = args.outputs[0];
  const Images size{images.dims[1], images.dims[2], images.dims[3]};
  const auto run = [&]<class T>(T) {
    launch(make_batch_kernel<T>, out.dims[0], threads_per_block, 0, stream(), images.as<T>(),
           args.inputs[1].as<int32_t>(), args.inputs[2].as<int64_t>(), args.inputs[3].as<float>(),
           out.as<float>(), args.outputs[1].as<int32_t>(), size, args.key,
           args.attrs->integer("shift"), args.attrs->integer("flip") != 0);
  };
  if (images.dtype == DType::u8)
    run(uint8_t{});
  else if (images.dtype == DType::f32)
    run(float{});
  else
    return Status::unsupported;
  return Status::ok;
}

constexpr KernelRow rows[] = {
    {"make_batch", 1, guarded<make_batch>},
};

}  // namespace

KernelList batch_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
