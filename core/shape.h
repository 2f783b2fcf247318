// Shape, element type, storage format and device: what a tensor is, apart from its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/error.h"

namespace pare {

enum class DType : uint8_t { f32, f64, i32, i64, i8, u8 };
size_t size_of(DType dtype);
std::string to_string(DType dtype);
constexpr bool is_float(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

// How the bytes of a tensor lie; shapes stay logical (NCHW). plain is C order. nhwc keeps channels
// innermost and is meant for rank 4. The others are room for blocked kernels.
enum class Format : uint8_t { plain, nhwc, c8, c16, n8, n16 };
std::string to_string(Format format);

enum class DeviceType : uint8_t { cpu, cuda, cuda_emulated };
struct Device {
  DeviceType type = DeviceType::cpu;
  uint8_t index = 0;
  bool operator==(const Device&) const = default;
};
std::string to_string(Device device);

// Up to eight extents, each >= 0. A rank of 0 is a scalar.
class Shape {
 public:
  static constexpr int max_rank = 8;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  Shape(const int64_t* dims, int rank);

  int rank() const { return rank_; }
  // Extent of an axis; negative axes count from the end.
  int64_t operator[](int axis) const { return dims_[axis < 0 ? axis + rank_ : axis]; }
  void set(int axis, int64_t extent) { dims_[axis < 0 ? axis + rank_ : axis] = extent; }
  void push_back(int64_t extent);
  int64_t elements() const;  // product of the extents; overflow throws
  const int64_t* data() const { return dims_; }
  const int64_t* begin() const { return dims_; }
  const int64_t* end() const { return dims_ + rank_; }
  bool operator==(const Shape& other) const;

 private:
  int64_t dims_[max_rank] = {};
  int rank_ = 0;
};
std::string to_string(const Shape& shape);  // "64x1x28x28"

}  // namespace pare
