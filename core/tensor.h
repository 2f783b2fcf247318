// Tensor: a typed, shaped view of shared bytes. Copying shares the bytes; clone() copies them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/shape.h"
#include "core/storage.h"

namespace pare {

// Where the current recorder knows a tensor: the run's number and the value's number in it.
struct ValueRef {
  uint64_t run = 0;
  int32_t id = -1;
};

class Tensor {
 public:
  Tensor() = default;  // empty: defined() is false

  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Format format = Format::plain,
                      Device device = {});
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32,
                     Device device = {});
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {}) {
    return full(shape, 0, dtype, device);
  }
  // Copies `values` (C order); the element type follows T.
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape);

  bool defined() const { return bool(storage_); }
  const Shape& shape() const { return shape_; }
  int64_t size(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank(); }
  int64_t elements() const { return elements_; }
  size_t bytes() const { return size_t(elements_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Format format() const { return format_; }
  Device device() const { return storage_ ? storage_->device : Device{}; }

  // The first byte; meaningful to code that knows the format. CPU tensors only may be dereferenced.
  void* raw() const { return static_cast<char*>(storage_->data) + offset_; }
  template <class T>
  T* data() const {
    return static_cast<T*>(raw());
  }

  Tensor clone() const;                   // own bytes, same format
  Tensor plain() const;                   // itself when already plain, else a converted copy
  Tensor in_format(Format format) const;  // likewise for any format
  Tensor to(Device device) const;
  Tensor to(DType dtype) const;           // converted copy; float to integer rounds half to even
  Tensor view(const Shape& shape) const;  // same bytes, plain only, same number of elements
  // Rows [begin, end) of the first axis; shares bytes (plain and nhwc, whose outermost axis is N).
  Tensor rows(int64_t begin, int64_t end) const;
  void copy_from(const Tensor& source) const;  // same shape and dtype; formats may differ
  void fill(double value) const;

  template <class T>
  std::vector<T> to_vector() const;  // values in C order, converted to T
  double item() const;               // the value of a one-element tensor

  bool shares_storage(const Tensor& other) const { return storage_.get() == other.storage_.get(); }
  bool unique() const { return storage_ && storage_.unique(); }

  const ValueRef& ref() const { return ref_; }
  void set_ref(ValueRef ref) { ref_ = ref; }

 private:
  StoragePtr storage_;
  size_t offset_ = 0;  // bytes
  int64_t elements_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
  Format format_ = Format::plain;
  ValueRef ref_;
};

// Called before tensor values are read back on the host, so that capture can refuse it.
using ReadHook = void (*)(const Tensor&);
void set_read_hook(ReadHook hook);

}  // namespace pare
