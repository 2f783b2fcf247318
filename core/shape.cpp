#include "core/shape.h"

#include <algorithm>

namespace pare {

size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::i8:
    case DType::u8:
      return 1;
  }
  return 0;
}

std::string to_string(DType dtype) {
  static constexpr const char* names[] = {"f32", "f64", "i32", "i64", "i8", "u8"};
  return names[int(dtype)];
}

std::string to_string(Format format) {
  static constexpr const char* names[] = {"plain", "nhwc", "c8", "c16", "n8", "n16"};
  return names[int(format)];
}

std::string to_string(Device device) {
  static constexpr const char* names[] = {"cpu", "cuda", "cuda-emulated"};
  return names[int(device.type)];
}

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(dims.begin(), int(dims.size())) {}

Shape::Shape(const int64_t* dims, int rank) : rank_(rank) {
  check(rank <= max_rank, "shape: {} axes, at most {} are supported", rank, max_rank);
  for (int i = 0; i < rank; ++i) {
    check(dims[i] >= 0, "shape: extent {} of axis {} is negative", dims[i], i);
    dims_[i] = dims[i];
  }
}

void Shape::push_back(int64_t extent) {
  check(rank_ < max_rank, "shape: more than {} axes", max_rank);
  dims_[rank_++] = extent;
}

int64_t Shape::elements() const {
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i)
    check(!__builtin_mul_overflow(product, dims_[i], &product), "shape {} is too large", *this);
  return product;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && std::equal(begin(), end(), other.begin());
}

std::string to_string(const Shape& shape) {
  if (shape.rank() == 0) return "scalar";
  std::string out;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i) out += 'x';
    out += std::to_string(shape[i]);
  }
  return out;
}

}  // namespace pare
