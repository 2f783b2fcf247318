#include "core/tensor.h"

#include <cstring>

#include "core/backend.h"
#include "core/element.h"
#include "core/tensor_arg.h"

namespace pare {
namespace {

ReadHook read_hook = nullptr;

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::i32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return DType::i64;
  else if constexpr (std::is_same_v<T, int8_t>)
    return DType::i8;
  else
    return DType::u8;
}

// Runs a kernel from one tensor (or none) into another.
void run(const Kernel& kernel, const Tensor* from, const Tensor& to, const Attrs* attrs = nullptr) {
  const TensorArg in = from ? tensor_arg(*from) : TensorArg{}, out = tensor_arg(to);
  KernelArgs args;
  args.inputs = &in;
  args.outputs = &out;
  args.input_count = from ? 1 : 0;
  args.output_count = 1;
  args.attrs = attrs;
  kernel(to.device(), args);
}

}  // namespace

void set_read_hook(ReadHook hook) { read_hook = hook; }

Tensor Tensor::empty(const Shape& shape, DType dtype, Format format, Device device) {
  check(format == Format::plain || shape.rank() == 4, "format {} needs 4 axes, shape is {}", format,
        shape);
  Tensor t;
  t.shape_ = shape;
  t.elements_ = shape.elements();
  t.dtype_ = dtype;
  t.format_ = format;
  t.storage_ = allocate_storage(size_t(t.elements_) * size_of(dtype), device);
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, Format::plain, device);
  t.fill(value);
  return t;
}

template <class T>
Tensor Tensor::from(const std::vector<T>& values, const Shape& shape) {
  check(int64_t(values.size()) == shape.elements(), "{} values do not fill shape {}", values.size(),
        shape);
  Tensor t = empty(shape, dtype_of<T>());
  if (!values.empty()) std::memcpy(t.raw(), values.data(), values.size() * sizeof(T));
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, format_, device());
  copy_bytes(device(), t.raw(), raw(), bytes(), Direction::within);
  return t;
}

Tensor Tensor::plain() const { return in_format(Format::plain); }

Tensor Tensor::in_format(Format format) const {
  if (format == format_) return *this;
  Tensor t = empty(shape_, dtype_, format, device());
  t.copy_from(*this);
  t.ref_ = ref_;
  return t;
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  Tensor t = empty(shape_, dtype_, format_, target);
  if (target.type == DeviceType::cpu)
    copy_bytes(device(), t.raw(), raw(), bytes(), Direction::to_host);
  else if (device().type == DeviceType::cpu)
    copy_bytes(target, t.raw(), raw(), bytes(), Direction::from_host);
  else
    return to(Device{}).to(target);
  return t;
}

Tensor Tensor::to(DType target) const {
  if (target == dtype_) return *this;
  static const Kernel convert("convert_type");
  Tensor t = empty(shape_, target, format_, device());
  run(convert, this, t);
  return t;
}

Tensor Tensor::view(const Shape& shape) const {
  check(format_ == Format::plain, "a view needs plain storage, this tensor is {}", format_);
  check(shape.elements() == elements_, "cannot view {} as {}: {} and {} elements", shape_, shape,
        elements_, shape.elements());
  Tensor t = *this;
  t.shape_ = shape;
  t.ref_ = {};
  return t;
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  check(rank() > 0 && begin >= 0 && begin <= end && end <= shape_[0], "rows {}..{} of shape {}",
        begin, end, shape_);
  Tensor t = *this;
  const int64_t row = shape_[0] ? elements_ / shape_[0] : 0;
  t.shape_.set(0, end - begin);
  t.elements_ = row * (end - begin);
  t.offset_ += size_t(row * begin) * size_of(dtype_);
  t.ref_ = {};
  return t;
}

void Tensor::copy_from(const Tensor& source) const {
  check(source.shape_ == shape_ && source.dtype_ == dtype_, "cannot copy {} {} into {} {}",
        source.dtype_, source.shape_, dtype_, shape_);
  if (source.device() != device()) return copy_from(source.to(device()));
  if (source.format_ == format_)
    return copy_bytes(device(), raw(), source.raw(), bytes(), Direction::within);
  static const Kernel convert("convert_format");
  run(convert, &source, *this);
}

void Tensor::fill(double value) const {
  static const Kernel kernel("fill");
  const Attrs attrs = Attrs().set("value", value);
  run(kernel, nullptr, *this, &attrs);
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  if (read_hook) read_hook(*this);
  const Tensor t = to(Device{}).plain();
  std::vector<T> out(static_cast<size_t>(elements_));
  with_type(dtype_, [&](auto tag) {
    const auto* p = t.data<decltype(tag)>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = convert_value<T>(p[i]);
  });
  return out;
}

double Tensor::item() const {
  check(elements_ == 1, "item() needs one element, shape is {}", shape_);
  if (read_hook) read_hook(*this);
  const Tensor t = to(Device{});
  return with_type(dtype_, [&](auto tag) { return double(*t.data<decltype(tag)>()); });
}

#define PARE_INSTANTIATE(T)                                             \
  template Tensor Tensor::from<T>(const std::vector<T>&, const Shape&); \
  template std::vector<T> Tensor::to_vector<T>() const;
PARE_INSTANTIATE(float)
PARE_INSTANTIATE(double)
PARE_INSTANTIATE(int32_t)
PARE_INSTANTIATE(int64_t)
PARE_INSTANTIATE(int8_t)
PARE_INSTANTIATE(uint8_t)
#undef PARE_INSTANTIATE

TensorArg tensor_arg(const Tensor& t) {
  TensorArg a;
  if (!t.defined()) return a;
  a.data = t.raw();
  for (int i = 0; i < t.rank(); ++i) a.dims[i] = t.shape()[i];
  a.elements = t.elements();
  a.rank = t.rank();
  a.dtype = t.dtype();
  a.format = t.format();
  return a;
}

}  // namespace pare
