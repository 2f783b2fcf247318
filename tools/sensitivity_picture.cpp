#include "tools/sensitivity_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pare::tool {
namespace {

// A share of zeros that differs from the one asked for by more than this is told.
constexpr double worth_a_word = 0.005;

double lowest(const Sensitivity& scan) {
  double low = scan.accuracy;
  for (const LayerSensitivity& l : scan.layers)
    for (const double a : l.accuracy) low = std::min(low, a);
  return low;
}

// One character a point, from the lowest accuracy of the scan to that of the whole network.
std::string curve(const LayerSensitivity& layer, double low, double high) {
  static constexpr std::array bars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string text;
  for (const double a : layer.accuracy) {
    const double share = high > low ? (a - low) / (high - low) : 1;
    text += bars[size_t(std::clamp(share * 7 + 0.5, 0.0, 7.0))];
  }
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

// A share in percent without needless zeros.
std::string short_percent(double share) {
  return fmt::format("{:g}", std::round(share * 1e5) / 1e3);
}

// The frame of the picture: accuracy upwards, position in the list of sparsities to the right, so
// that the crowd near 1 is spread.
struct Frame {
  static constexpr double left = 60, right = 560, top = 40, bottom = 340;
  double low, high, step;  // of accuracy, in whole steps
  size_t points;
  double x(double place) const {
    return points > 1 ? left + (right - left) * place / double(points - 1) : (left + right) / 2;
  }
  double y(double accuracy) const {
    return bottom - (bottom - top) * (accuracy - low) / (high - low);
  }
};

// Where in the list of sparsities a share lies, between two of them in proportion.
double place_of(double share, const std::vector<double>& sparsities) {
  const auto above = std::lower_bound(sparsities.begin(), sparsities.end(), share);
  if (above == sparsities.begin()) return 0;
  if (above == sparsities.end()) return double(sparsities.size() - 1);
  const double below = above[-1];
  return double(above - sparsities.begin()) - (*above - share) / (*above - below);
}

// Lines around all accuracies, 1, 2 or 5 times a power of ten apart.
Frame frame_of(const Sensitivity& scan) {
  double low = lowest(scan), high = low;
  for (const LayerSensitivity& l : scan.layers)
    for (const double a : l.accuracy) high = std::max(high, a);
  const double span = std::max(high - low, 0.01),
               power = std::pow(10, std::floor(std::log10(span)));
  double step = 2 * power;
  for (const double s : {power, power / 2, power / 5})
    if (span / s <= 5) step = s;
  low = std::floor(low / step + 1e-9) * step;
  high = std::max(std::ceil(high / step - 1e-9) * step, low + step);
  return {low, high, step, scan.sparsities.size()};
}

std::string axes(const Sensitivity& scan, const Frame& f) {
  std::string svg;
  for (double a = f.low; a < f.high + f.step / 2; a += f.step) {
    const double y = f.y(a);
    svg += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>\n"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5} %</text>\n",
        f.left, f.right, y, f.left - 6, y + 4, short_percent(a));
  }
  for (size_t i = 0; i < scan.sparsities.size(); ++i)
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{} %</text>\n",
                       f.x(double(i)), f.bottom + 18, short_percent(scan.sparsities[i]));
  return svg +
         fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">zeros in one layer</text>\n",
                     (f.left + f.right) / 2, f.bottom + 38);
}

}  // namespace

std::string sensitivity_table(const Sensitivity& scan) {
  size_t width = 5;
  for (const LayerSensitivity& l : scan.layers) width = std::max(width, l.name.size());
  std::string text = fmt::format("{:<{}} {:>9}", "layer", width, "weights");
  for (const double s : scan.sparsities) text += fmt::format(" {:>7}", short_percent(s) + " %");
  text += fmt::format(" {:>10}  curve", "tolerated");
  const double low = lowest(scan);
  for (const LayerSensitivity& l : scan.layers) {
    text += fmt::format("\n{:<{}} {:>9}", l.name, width, l.elements);
    for (const double a : l.accuracy) text += fmt::format(" {:>7.2f}", 100 * a);
    text += fmt::format(" {:>10}  {}",
                        short_percent(tolerated_sparsity(scan, l, tolerated_drop)) + " %",
                        curve(l, low, scan.accuracy));
  }
  for (const LayerSensitivity& l : scan.layers)
    for (size_t i = 0, last = 0; i < l.achieved.size(); i = last + 1) {
      const auto missed = [&](size_t k) {
        return std::abs(l.achieved[k] - scan.sparsities[k]) > worth_a_word;
      };
      last = i;
      if (!missed(i)) continue;
      while (last + 1 < l.achieved.size() && l.achieved[last + 1] == l.achieved[i] &&
             missed(last + 1))
        ++last;
      text += fmt::format("\n{}: {} % of zeros where {}{} % were asked for", l.name,
                          short_percent(l.achieved[i]), short_percent(scan.sparsities[i]),
                          last > i ? " to " + short_percent(scan.sparsities[last]) : "");
    }
  return text;
}

std::string sensitivity_svg(const Sensitivity& scan, const std::string& title) {
  static constexpr std::array colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#999999"};
  const Frame f = frame_of(scan);
  const size_t layers = scan.layers.size();
  const double height = std::max(f.bottom + 60, f.top + 16.0 * double(layers + 1));
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{0:.0f}\" "
      "viewBox=\"0 0 760 {0:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{1}\" y=\"22\" font-size=\"14\">{2}</text>\n",
      height, f.left, escaped(title));
  svg += axes(scan, f);
  for (size_t l = 0; l < layers; ++l) {
    const LayerSensitivity& layer = scan.layers[l];
    const char* colour = colours[l % colours.size()];
    const char* dash = l / colours.size() % 2 ? " stroke-dasharray=\"5 3\"" : "";
    std::string points;
    for (size_t i = 0; i < layer.accuracy.size(); ++i) {
      const double x = f.x(place_of(layer.achieved[i], scan.sparsities));
      points += fmt::format("{:.1f},{:.1f} ", x, f.y(layer.accuracy[i]));
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", x,
                         f.y(layer.accuracy[i]), colour);
    }
    svg += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"{}/>\n"
        "<text x=\"{}\" y=\"{:.0f}\" fill=\"{}\">{}</text>\n",
        points, colour, dash, f.right + 16, f.top + 16.0 * double(l + 1), colour,
        escaped(layer.name));
  }
  return svg + "</svg>\n";
}

}  // namespace pare::tool
