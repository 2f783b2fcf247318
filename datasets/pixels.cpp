#include "datasets/pixels.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pare {
namespace {

using Kind = PixelRange::Kind;

// A range counts as filled from this share on: a set of dark pictures fills less, and so do numbers
// of another unit.
constexpr double filled = 1.0 / 8;
constexpr double slack = 1e-5;  // what a resampling or a division may leave beside 0..1

struct Values {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool whole = true, bytes = true;
};

template <class T>
void look_at(const Tensor& t, Values& v) {
  const T* x = t.data<T>();
  const int64_t n = t.elements();
  if (n == 0) return;
  const auto [low, high] = std::minmax_element(x, x + n);
  v.low = std::min(v.low, double(*low));
  v.high = std::max(v.high, double(*high));
  if constexpr (std::is_same_v<T, float>) {
    v.bytes = false;
    v.whole = v.whole && std::all_of(x, x + n, [](float f) { return f == std::trunc(f); });
  }
}

bool lies_in(double low, double high, double black, double white) {
  const double edge = slack * (white - black);
  return low >= black - edge && high <= white + edge;
}

// Data of an unknown unit against the known one of a model of floats: pictures that are all rather
// dark say.
bool plausible(const PixelRange& data, const PixelRange& unit) {
  return unit.kind == Kind::floats && lies_in(data.low, data.high, unit.low, unit.high) &&
         data.low <= unit.low + (unit.high - unit.low) / 16 &&  // there is black in pictures
         data.high - data.low >= filled * (unit.high - unit.low);
}

bool alike(const PixelRange& data, const PixelRange& seen) {
  const double extent = seen.high - seen.low;
  return data.low >= seen.low - extent / 2 && data.high <= seen.high + extent &&
         data.high - data.low >= extent / 4 &&
         std::min(data.high, seen.high) - std::max(data.low, seen.low) >=
             std::min(data.high - data.low, extent) / 2;
}

}  // namespace

bool same_unit(const PixelRange& a, const PixelRange& b) {
  if (a.known() && b.known()) return a == b;
  if (!a.known() && !b.known()) return alike(a, b) && alike(b, a);
  const PixelRange &known = a.known() ? a : b, &seen = a.known() ? b : a;
  return lies_in(seen.low, seen.high, known.low, known.high) &&
         seen.high - seen.low >= filled * (known.high - known.low);
}

std::string to_string(const PixelRange& r) {
  const auto number = [](double v) { return message("{}", float(v)); };
  if (!r.known())
    return message("numbers of an unknown unit, from {} to {}", number(r.low), number(r.high));
  return message("{}, black {} and white {}", r.kind == Kind::bytes ? "bytes" : "floats",
                 number(r.low), number(r.high));
}

PixelRange observe_pixels(std::span<const Tensor> parts) {
  Values v;
  for (const Tensor& part : parts) {
    if (!part.defined()) continue;
    const Tensor t = part.to(Device{});
    check(t.dtype() == DType::u8 || t.dtype() == DType::f32,
          "images are {}, expected u8 or f32 elements", t.dtype());
    if (t.dtype() == DType::u8)
      look_at<uint8_t>(t, v);
    else
      look_at<float>(t, v);
  }
  if (v.low > v.high) return {Kind::unknown, 0, 0};
  if (v.bytes) {
    if (v.high == 1) return {Kind::bytes, 0, 1};
    if (v.high >= 255 * filled) return {Kind::bytes, 0, 255};
    return {Kind::unknown, v.low, v.high};
  }
  const double low = v.low, high = v.high;
  if (v.whole && lies_in(low, high, 0, 255) && high >= 128) return {Kind::floats, 0, 255};
  if (lies_in(low, high, 0, 255) && high >= 200) return {Kind::floats, 0, 255};
  if (lies_in(low, high, 0, 1) && high >= 0.5) return {Kind::floats, 0, 1};
  // Floats less their mean lie within -1..1 too, but reach neither end.
  if (lies_in(low, high, -1, 1) && std::max(-low, high) >= 0.9 && std::min(-low, high) >= 0.25)
    return {Kind::floats, -1, 1};
  return {Kind::unknown, low, high};
}

int64_t fraction_images(const Tensor& images) {
  if (images.size(0) == 0) return 0;
  const int64_t each = images.elements() / images.size(0);
  int64_t found = 0;
  for (int64_t i = 0; i < images.size(0); ++i) {
    const float *x = images.data<float>() + i * each, *end = x + each;
    found += std::all_of(x, end, [](float v) { return v >= 0 && v <= 1; }) &&
             std::any_of(x, end, [](float v) { return v > 0 && v < 1; });
  }
  return found;
}

bool all_within(const Tensor& images, double low, double high) {
  const auto within = [=](auto v) { return double(v) >= low && double(v) <= high; };
  const int64_t n = images.elements();
  return images.dtype() == DType::u8
             ? std::all_of(images.data<uint8_t>(), images.data<uint8_t>() + n, within)
             : std::all_of(images.data<float>(), images.data<float>() + n, within);
}

PixelMap map_pixels(const PixelRange& from, const PixelRange& to) {
  if (from.known() && to.known()) {
    if (from.low == to.low && from.high == to.high) return {};
    const double factor = (to.high - to.low) / (from.high - from.low);
    const PixelMap map{factor, to.low - from.low * factor};
    check(std::isfinite(map.factor) && map.factor > 0 && std::isfinite(map.offset),
          ErrorCode::bad_input, "pixels: {} cannot be turned into {}", to_string(from),
          to_string(to));
    return map;
  }
  const bool same = from.known() ? false : to.known() ? plausible(from, to) : alike(from, to);
  check(
      same, ErrorCode::bad_input,
      "the images are {}; the model takes {}, and what one is of the other is not known. Say which "
      "numbers are black and white: {}",
      to_string(from), to_string(to),
      to.known()
          ? "an array 'pixel_range' = [black, white] in the archive, --pixel-range BLACK "
            "WHITE, or Preprocessing::pixels"
          : "`pare train FILE --data ITS_OWN_DATA --pixel-range BLACK WHITE --epochs 0 --out "
            "OTHER`, or an array 'pixel_range' = [black, white] in its archive");
  return {};
}

}  // namespace pare
