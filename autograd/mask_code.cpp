#include "autograd/mask_code.h"

namespace pare {
namespace {

constexpr uint8_t skip = 255;

Tensor to_gaps(const Tensor& mask) {
  std::vector<uint8_t> gaps;
  uint8_t gap = 0;
  for (int64_t i = 0; i < mask.elements(); ++i)
    if (mask.data<uint8_t>()[i]) {
      gaps.push_back(gap);
      gap = 0;
    } else if (++gap == skip) {
      gaps.push_back(skip);
      gap = 0;
    }
  return Tensor::from(gaps, {int64_t(gaps.size())});
}

}  // namespace

Tensor mask_to_bits(const Tensor& mask) {
  const Tensor m = mask.to(Device{}).plain();
  const Tensor bits = Tensor::zeros({(m.elements() + 7) / 8}, DType::u8);
  for (int64_t i = 0; i < m.elements(); ++i)
    bits.data<uint8_t>()[i / 8] |= uint8_t((m.data<uint8_t>()[i] != 0) << (i % 8));
  return bits;
}

MaskCode encode_mask(const Tensor& mask) {
  const Tensor bits = mask_to_bits(mask), gaps = to_gaps(mask.to(Device{}).plain());
  if (gaps.elements() < bits.elements()) return {true, gaps};
  return {false, bits};
}

Tensor mask_from_bits(const Tensor& bits, const Shape& shape) {
  const Tensor mask = Tensor::empty(shape, DType::u8);
  for (int64_t i = 0; i < mask.elements(); ++i)
    mask.data<uint8_t>()[i] = bits.data<uint8_t>()[i / 8] >> (i % 8) & 1;
  return mask;
}

std::optional<Tensor> mask_from_gaps(const Tensor& gaps, const Shape& shape) {
  if (shape.elements() >= (gaps.elements() + 1) * (skip + 1)) return std::nullopt;
  const Tensor mask = Tensor::zeros(shape, DType::u8);
  int64_t at = 0;
  for (int64_t i = 0; i < gaps.elements(); ++i) {
    const uint8_t gap = gaps.data<uint8_t>()[i];
    at += gap;
    if (gap == skip) continue;
    if (at >= mask.elements()) return std::nullopt;
    mask.data<uint8_t>()[at++] = 1;
  }
  if (at > mask.elements() || mask.elements() - at >= skip) return std::nullopt;
  return mask;
}

}  // namespace pare
