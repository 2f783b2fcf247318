#include "datasets/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/random.h"
#include "datasets/gzip.h"

namespace pare {
namespace {

// rows `indices` of the first axis
Tensor gather(const Tensor& from, std::span<const int64_t> indices) {
  Shape shape = from.shape();
  const int64_t n = shape[0];
  shape.set(0, int64_t(indices.size()));
  const Tensor out = Tensor::empty(shape, from.dtype());
  const size_t row = n ? from.bytes() / size_t(n) : 0;
  for (size_t i = 0; i < indices.size(); ++i) {
    check(indices[i] >= 0 && indices[i] < n, "index {} of {} examples", indices[i], n);
    std::memcpy(out.data<char>() + i * row, from.data<char>() + size_t(indices[i]) * row, row);
  }
  return out;
}

}  // namespace

Shape Examples::shape() const { return {images.size(1), images.size(2), images.size(3)}; }

Examples Examples::to(Device device) const {
  if (!size()) return {};
  try {
    return {images.to(device), labels.to(device)};
  } catch (const Error& e) {
    if (e.code() != ErrorCode::io) throw;
    fail(ErrorCode::io,
         "{} examples of {} bytes each do not fit into the memory of {}, where all of "
         "them are kept; take fewer ('train' has --images), or --device cpu. ({})",
         size(), int64_t(images.bytes()) / size(), device, e.what());
  }
}

Examples Examples::slice(std::span<const int64_t> indices) const {
  return {gather(images, indices), gather(labels, indices)};
}

void check_examples(const Examples& e, int64_t classes, const std::string& name) {
  expect(e.images.defined() && e.labels.defined() && e.size() > 0, name, "no examples");
  expect(e.images.rank() == 4 && e.images.format() == Format::plain &&
             (e.images.dtype() == DType::u8 || e.images.dtype() == DType::f32),
         name, "images are {} {}, expected u8 or f32 of four axes (N,C,H,W), plain",
         e.images.dtype(), e.images.shape());
  expect(e.labels.rank() == 1 && e.labels.dtype() == DType::i32, name,
         "labels are {} {}, expected i32 of one axis", e.labels.dtype(), e.labels.shape());
  expect(e.images.size(0) == e.size(), name, "{} images and {} labels", e.images.size(0), e.size());
  expect(e.images.elements() > 0, name, "images of shape {} are empty", e.shape());
  const int32_t* label = e.labels.data<int32_t>();
  for (int64_t i = 0; i < e.size(); ++i)
    expect(label[i] >= 0 && label[i] < classes, name, "label {} of example {}, expected 0 to {}",
           label[i], i, classes - 1);
  if (e.images.dtype() == DType::f32) {
    const float* x = e.images.data<float>();
    for (int64_t i = 0; i < e.images.elements(); ++i)
      expect(std::isfinite(x[i]), name, "image {} holds a value that is not finite",
             i / (e.images.elements() / e.size()));
  }
}

void check_dataset(const Dataset& data) {
  const int64_t classes = int64_t(data.classes.size());
  expect(classes > 0, data.name, "no classes");
  check_examples(data.train, classes, data.name + " (train)");
  check_examples(data.test, classes, data.name + " (test)");
  expect(data.train.shape() == data.test.shape(), data.name,
         "training images are {}, test images {}", data.train.shape(), data.test.shape());
  data.preprocessing.check_channels(data.train.images.size(1));
  check_pixels(data.train, data.preprocessing, data.name + " (train)", true);
  check_pixels(data.test, data.preprocessing, data.name + " (test)", true);
}

std::vector<std::string> numbered_classes(int64_t n) {
  std::vector<std::string> out;
  for (int64_t c = 0; c < n; ++c) out.push_back(std::to_string(c));
  return out;
}

std::string idle_classes(const Dataset& data) {
  std::vector<bool> used(data.classes.size());
  for (const int32_t label : data.train.labels.to_vector<int32_t>()) used[size_t(label)] = true;
  const auto idle = std::count(used.begin(), used.end(), false);
  if (idle == 0) return {};
  const auto first = size_t(std::find(used.begin(), used.end(), false) - used.begin());
  return message(
      "{} of {} classes {} no training image, '{}' first{}", idle, used.size(),
      idle == 1 ? "has" : "have", data.classes[first],
      first == 0 ? "; labels count from 0, so a network gets an answer that is never right" : "");
}

std::vector<int64_t> held_out_indices(int64_t size, double fraction) {
  check(fraction >= 0 && fraction < 1, "hold-out fraction {}, expected 0 to below 1", fraction);
  int64_t count = std::llround(fraction * double(size));
  if (fraction > 0) count = std::clamp<int64_t>(count, std::min<int64_t>(1, size), size);
  check(count == 0 || count < size, ErrorCode::bad_input,
        "holding out {} of {} examples leaves none to train on", count, size);
  std::vector<std::pair<uint64_t, int64_t>> keys;
  for (int64_t i = 0; i < size; ++i) {
    const auto bits = philox(hash_name("hold-out"), uint64_t(i));
    keys.emplace_back(uint64_t(bits[0]) << 32 | bits[1], i);
  }
  std::nth_element(keys.begin(), keys.begin() + count, keys.end());
  std::vector<int64_t> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(keys[size_t(i)].second);
  std::sort(out.begin(), out.end());
  return out;
}

Split hold_out(const Examples& examples, double fraction) {
  const std::vector<int64_t> held = held_out_indices(examples.size(), fraction);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < examples.size(); ++i)
    if (!std::binary_search(held.begin(), held.end(), i)) kept.push_back(i);
  if (held.empty()) return {examples, {}, std::move(kept), fraction};
  Split split{examples.slice(kept), examples.slice(held), {}, fraction};
  split.train_indices = std::move(kept);
  return split;
}

namespace {

// Half of the images divided by 255 and half not.
void check_one_unit(const Examples& part, const PixelRange& range, const std::string& name) {
  if (range.kind != PixelRange::Kind::floats || range.high != 255) return;
  const int64_t fractions = fraction_images(part.images);
  expect(100 * fractions <= part.size(), name,
         "{} of {} images lie within 0 to 1, the others reach 255; bring all to one unit",
         fractions, part.size());
}

}  // namespace

PixelRange pixels_of(const Dataset& data) {
  if (data.train.size() && data.test.size()) {
    const PixelRange train = observe_pixels(std::vector{data.train.images}),
                     test = observe_pixels(std::vector{data.test.images});
    expect(same_unit(train, test), data.name,
           "the training images are {}, the test images {}; bring both to one unit, or say which "
           "numbers are black and white (--pixel-range BLACK WHITE)",
           to_string(train), to_string(test));
    check_one_unit(data.train, train, data.name + " (train)");
    check_one_unit(data.test, test, data.name + " (test)");
  }
  return observe_pixels(std::vector{data.train.images, data.test.images});
}

}  // namespace pare
