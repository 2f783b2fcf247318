#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "datasets/dataset.h"
#include "datasets/gzip.h"

namespace pare {
namespace {

const std::string where = "preprocessing";

double number(const nlohmann::json& j, const char* key) {
  expect(j.is_number(), where, "'{}' must be a number", key);
  const double v = j.get<double>();
  expect(std::isfinite(v), where, "'{}' must be finite", key);
  return v;
}

std::vector<double> numbers(const nlohmann::json& j, const char* key) {
  expect(j.is_array() && j.size() <= 4096, where, "'{}' must be an array of numbers", key);
  std::vector<double> out;
  for (const nlohmann::json& item : j) out.push_back(number(item, key));
  return out;
}

constexpr const char* kinds[] = {"bytes", "floats", "unknown"};  // of PixelRange

std::optional<PixelRange> pixels_from(const nlohmann::json& j) {
  if (!j.contains("pixels") && !j.contains("range")) return {};
  expect(j.contains("pixels") && j.contains("range"), where,
         "'pixels' and 'range' belong together");
  const auto kind = std::find(std::begin(kinds), std::end(kinds), j["pixels"]);
  expect(kind != std::end(kinds), where, "'pixels' must be bytes, floats or unknown");
  const std::vector<double> range = numbers(j["range"], "range");
  const PixelRange out{PixelRange::Kind(kind - std::begin(kinds)), range.size() > 0 ? range[0] : 0,
                       range.size() > 1 ? range[1] : 0};
  expect(range.size() == 2 && (out.known() ? range[0] < range[1] : range[0] <= range[1]), where,
         "'range' must be two numbers, the smaller first");
  return out;
}

template <class T>
void normalize(const T* in, float* out, int64_t n, Preprocessing::Affine f) {
  for (int64_t i = 0; i < n; ++i) out[i] = float(in[i]) * f.a + f.b;
}

}  // namespace

std::string Preprocessing::to_json() const {
  nlohmann::ordered_json j;
  j["scale"] = scale;
  j["mean"] = mean;
  j["deviation"] = deviation;
  if (pixels) {
    j["pixels"] = kinds[size_t(pixels->kind)];
    j["range"] = {pixels->low, pixels->high};
  }
  if (!axes.empty()) j["axes"] = axes;
  if (size.rank()) j["size"] = std::vector<int64_t>(size.begin(), size.end());
  return j.dump();
}

Preprocessing Preprocessing::from_json(std::string_view text) {
  expect(text.size() <= (1 << 20), where, "{} bytes of JSON, at most 1 MiB is read", text.size());
  const auto depth_at_most_two = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    expect(depth <= 2, where, "JSON nested too deeply");
    return true;
  };
  nlohmann::json j;
  try {
    j = nlohmann::json::parse(text, depth_at_most_two);
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::bad_input, "{}: not JSON ({})", where, e.what());
  }
  expect(j.is_object() && j.contains("scale") && j.contains("mean") && j.contains("deviation"),
         where, "expected an object with scale, mean and deviation");
  static const std::set<std::string> known{"scale", "mean", "deviation", "pixels",
                                           "range", "axes", "size"};
  for (const auto& [key, value] : j.items())
    expect(known.contains(key), where, "unknown key '{}'; a newer pare may have written it", key);
  Preprocessing p;
  p.scale = number(j["scale"], "scale");
  p.mean = numbers(j["mean"], "mean");
  p.deviation = numbers(j["deviation"], "deviation");
  for (const double d : p.deviation) expect(d > 0, where, "a deviation of {}, expected > 0", d);
  p.pixels = pixels_from(j);
  if (j.contains("axes")) {
    expect(j["axes"] == "chw" || j["axes"] == "hwc", where, "'axes' must be chw or hwc");
    p.axes = j["axes"].get<std::string>();
  }
  if (j.contains("size")) {
    const std::vector<double> extents = numbers(j["size"], "size");
    expect(extents.size() == 3, where, "'size' must be three numbers");
    for (const double n : extents) {
      expect(n >= 1 && n <= double(1 << 24) && n == std::trunc(n), where,
             "'size' holds {}, expected whole numbers from 1", n);
      p.size.push_back(int64_t(n));
    }
  }
  return p;
}

Preprocessing Preprocessing::for_pixels(const PixelRange& data, int64_t channels) const {
  expect(pixels.has_value(), where, "it is not said what a pixel was, and the images are {}",
         to_string(data));
  const auto [factor, offset] = map_pixels(data, *pixels);
  Preprocessing p = *this;
  if (data.known() || !pixels->known()) p.pixels = data;
  if (factor == 1 && offset == 0) return p;
  p.scale = scale * factor;
  if (offset != 0) {
    if (p.mean.empty()) p.mean.resize(size_t(channels));
    for (double& m : p.mean) m -= scale * offset;
  }
  p.check_channels(channels);
  return p;
}

void Preprocessing::check_channels(int64_t channels) const {
  for (const auto& [key, v] : {std::pair("mean", &mean), std::pair("deviation", &deviation)})
    expect(v->empty() || int64_t(v->size()) == channels, where,
           "{} entries of '{}' for images of {} channels", v->size(), key, channels);
  for (const double d : deviation) expect(d > 0, where, "a deviation of {}, expected > 0", d);
  for (int64_t c = 0; c < channels; ++c)
    expect(std::isfinite(affine(c).a) && std::isfinite(affine(c).b), where,
           "scale {}, mean and deviation of channel {} leave the range of 32-bit floats; give the "
           "images in another unit",
           scale, c);
}

void check_pixels(const Examples& e, const Preprocessing& p, const std::string& name, bool all) {
  if (!e.size() || e.images.device() != Device{}) return;
  const Tensor& images = e.images;
  const bool bytes = images.dtype() == DType::u8;
  const auto small = [](const std::vector<double>& v) {
    return std::all_of(v.begin(), v.end(), [](double x) { return std::abs(x) <= 1; });
  };
  if (p.pixels && p.pixels->known()) {
    const auto [kind, low, high] = *p.pixels;
    const double extent = high - low;
    expect(!bytes || kind == PixelRange::Kind::bytes || high > 1, name,
           "images are bytes, the preprocessing takes {}", to_string(*p.pixels));
    const Tensor some = all ? images : images.rows(0, std::min<int64_t>(e.size(), 16));
    expect((bytes && low <= 0 && high >= 255) ||  // resampling may overshoot a little
               all_within(some, low - extent / 2, high + extent / 2),
           name, "images hold values far outside {}", to_string(*p.pixels));
    expect(bytes || !all_within(images, low, low + extent / 64) || all_within(images, low, low),
           name, "images hold hardly a value above {}, the preprocessing takes {}",
           low + extent / 64, to_string(*p.pixels));
  }
  // Deviations below a grey level belong to numbers of 0..1 that are divided on purpose.
  const bool on_purpose =
      std::any_of(p.deviation.begin(), p.deviation.end(), [](double d) { return d < 1.0 / 255; });
  if (!bytes && !on_purpose && std::abs(p.scale * 255 - 1) < 1e-3)
    expect(
        !all_within(images, -1, 1) || all_within(images, 0, 0), name,
        "images are floats within -1..1, and the preprocessing divides them by 255, as bytes are; "
        "give it .scale = 1");
  if (!p.pixels && std::abs(p.scale - 1) < 1e-9 && small(p.mean) && small(p.deviation))
    expect(
        all_within(images, -32, 32), name,
        "images hold values of bytes, 0..255, and the preprocessing leaves them so (scale 1); give "
        "it .scale = 1.0 / 255, or mean and deviation of that size");
}

Preprocessing::Affine Preprocessing::affine(int64_t channel) const {
  const double m = mean.empty() ? 0 : mean[size_t(channel)];
  const double d = deviation.empty() ? 1 : deviation[size_t(channel)];
  return {float(scale / d), float(-m / d)};
}

void Preprocessing::apply(const uint8_t* in, float* out, int64_t n, int64_t channel) const {
  normalize(in, out, n, affine(channel));
}
void Preprocessing::apply(const float* in, float* out, int64_t n, int64_t channel) const {
  normalize(in, out, n, affine(channel));
}

}  // namespace pare
