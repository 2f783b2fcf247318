#include <algorithm>
#include <cmath>
#include <functional>

#include "datasets/image.h"

namespace pare {
namespace {

// The channels' ranges in what the network sees, where deviations of the data are 1.
bool is_one_colour(const Tensor& input, const Preprocessing& p) {
  const int64_t n = input.size(2) * input.size(3);
  for (int64_t c = 0; c < input.size(1); ++c) {
    const float* x = input.data<float>() + c * n;
    const auto [least, most] = std::minmax_element(x, x + n);
    const float alike = p.deviation.empty() ? 3 * std::abs(p.affine(c).a) : 0.05f;
    if (*most - *least > alike) return false;
  }
  return true;
}

std::string colour(const Image& image) {
  std::string text = message("{}", int(image.pixels[0]));
  for (int64_t c = 1; c < image.channels; ++c) text += message(" {}", int(image.pixels[size_t(c)]));
  return text;
}

float quantile(std::vector<float> values, double q) {
  const auto at = values.begin() + std::ptrdiff_t(q * double(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

// 1: dark on light where the data are light on dark; -1: the reverse; 0: neither, or not known.
// The data's mean is 0 here and their deviation 1: light on dark when the middle of the range lies
// well above the mean. A border beyond the deviation on that side is not theirs; a picture on it
// is what lies on the other side of the border, which is wider than a frame's line.
int is_inverted(const Tensor& input, const Preprocessing& p) {
  const int64_t channels = input.size(1), height = input.size(2), width = input.size(3);
  if (height < 3 || width < 3 || p.mean.empty() || p.deviation.empty()) return 0;
  float middle = 0;
  for (int64_t c = 0; c < channels; ++c)
    middle += (127.5f * p.affine(c).a + p.affine(c).b) / float(channels);
  if (std::abs(middle) < 0.3f) return 0;
  const float sign = middle > 0 ? 1 : -1;
  const int64_t line = std::max<int64_t>(1, std::min(height, width) / 8);
  std::vector<float> all, border;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      float grey = 0;
      for (int64_t c = 0; c < channels; ++c)
        grey += sign * input.data<float>()[(c * height + y) * width + x] / float(channels);
      all.push_back(grey);
      if (std::min({y, x, height - 1 - y, width - 1 - x}) < line) border.push_back(grey);
    }
  const float ground = quantile(border, 0.5), ink = quantile(all, 0.02);
  return ground > 1 && ground - ink > 1 ? int(sign) : 0;
}

}  // namespace

std::vector<std::string> picture_notes(const Image& image, const Tensor& input,
                                       const Preprocessing& preprocessing) {
  std::vector<std::string> notes = image.notes;
  const int64_t height = input.size(2), width = input.size(3);
  if (is_one_colour(input, preprocessing))
    notes.push_back(message("all that the network sees of it is one colour ({} of 255), or nearly",
                            colour(to_image(input, preprocessing))));
  if (const int sign = is_inverted(input, preprocessing))
    notes.push_back(
        message("it is {}, the training data were {}; perhaps its colours should be inverted",
                sign > 0 ? "dark on light" : "light on dark",
                sign > 0 ? "light on dark" : "dark on light"));
  const double tall = double(image.height) / double(height);
  const double broad = double(image.width) / double(width);
  const auto [least, most] = std::minmax(tall, broad);
  const std::string sizes =
      message("{} pixels high and {} wide, it is {} {}x{}", image.height, image.width,
              most / least >= 2 ? "squeezed into"
              : most >= 16      ? "shrunk to"
                                : "enlarged to",
              height, width);
  if (most / least >= 2)
    notes.push_back(message("{}: its proportions change by a factor of {}", sizes, most / least));
  else if (most >= 16 || least <= 0.25)
    notes.push_back(sizes);
  return notes;
}

}  // namespace pare
