#include <cmath>
#include <nlohmann/json.hpp>

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
  expect(j.is_object() && j.size() == 3 && j.contains("scale") && j.contains("mean") &&
             j.contains("deviation"),
         where, "expected an object with scale, mean and deviation");
  Preprocessing p;
  p.scale = number(j["scale"], "scale");
  p.mean = numbers(j["mean"], "mean");
  p.deviation = numbers(j["deviation"], "deviation");
  for (const double d : p.deviation) expect(d > 0, where, "a deviation of {}, expected > 0", d);
  return p;
}

void Preprocessing::check_channels(int64_t channels) const {
  for (const auto& [key, v] : {std::pair("mean", &mean), std::pair("deviation", &deviation)})
    expect(v->empty() || int64_t(v->size()) == channels, where,
           "{} entries of '{}' for images of {} channels", v->size(), key, channels);
  for (const double d : deviation) expect(d > 0, where, "a deviation of {}, expected > 0", d);
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
