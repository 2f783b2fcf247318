#include "datasets/digits.h"

#include <algorithm>
#include <array>

#include "core/random.h"
#include "core/thread_pool.h"

namespace pare {
namespace {

constexpr int64_t side = 28;
constexpr int32_t unit = 256;  // one pixel

struct Point {
  int32_t x, y;
};
using Stroke = std::vector<Point>;
using Style = std::vector<Stroke>;

// Strokes on a square of 100 x 100, y downwards; corners are rounded off when drawn, so a sharp one
// is where two strokes meet.
const std::array<std::vector<Style>, 10>& styles() {
  static const std::array<std::vector<Style>, 10> all{{
      {{{{50, 3}, {80, 12}, {94, 50}, {80, 88}, {50, 97}, {20, 88}, {6, 50}, {20, 12}, {50, 3}}},
       {{{64, 8}, {34, 6}, {14, 40}, {22, 84}, {54, 98}, {84, 76}, {86, 32}, {62, 6}, {46, 18}}}},
      {{{{50, 3}, {50, 97}}},
       {{{28, 26}, {54, 3}}, {{54, 3}, {54, 97}}},
       {{{28, 24}, {52, 3}}, {{52, 3}, {52, 96}}, {{24, 96}, {80, 96}}}},
      {{{{14, 30}, {22, 6}, {56, 0}, {88, 18}, {82, 46}, {48, 72}, {14, 96}}, {{14, 96}, {90, 95}}},
       {{{14, 26},
         {34, 2},
         {74, 4},
         {82, 36},
         {56, 70},
         {16, 94},
         {8, 82},
         {30, 74},
         {60, 94},
         {92, 88}}}},
      {{{{14, 14}, {44, 0}, {82, 10}, {80, 40}, {44, 48}},
        {{44, 48}, {86, 52}, {92, 84}, {50, 102}, {10, 86}}},
       {{{14, 5}, {86, 5}},
        {{86, 5}, {46, 42}},
        {{46, 42}, {86, 48}, {90, 86}, {48, 100}, {10, 84}}}},
      {{{{30, 4}, {10, 60}}, {{10, 60}, {92, 58}}, {{68, 28}, {64, 97}}},
       {{{70, 3}, {8, 66}}, {{8, 66}, {94, 66}}, {{70, 3}, {70, 97}}}},
      {{{{84, 5}, {26, 5}},
        {{26, 5}, {20, 44}},
        {{20, 44}, {60, 32}, {92, 60}, {78, 96}, {36, 100}, {10, 84}}},
       {{{28, 8}, {20, 46}, {56, 36}, {92, 62}, {74, 98}, {30, 98}, {10, 86}}, {{28, 7}, {88, 4}}}},
      {{{{74, 4}, {36, 18}, {10, 62}, {24, 98}, {68, 100}, {90, 72}, {64, 48}, {28, 56}, {14, 76}}},
       {{{54, 2}, {24, 40}, {12, 78}, {44, 102}, {84, 86}, {76, 54}, {38, 54}, {16, 74}}}},
      {{{{12, 7}, {88, 7}}, {{88, 7}, {60, 50}, {44, 97}}},
       {{{12, 7}, {88, 7}}, {{88, 7}, {42, 97}}, {{30, 52}, {78, 50}}},
       {{{12, 24}, {13, 7}}, {{13, 7}, {88, 7}}, {{88, 7}, {52, 54}, {46, 97}}}},
      {{{{78, 16},
         {50, 0},
         {20, 16},
         {32, 42},
         {70, 58},
         {86, 82},
         {50, 102},
         {14, 82},
         {32, 56},
         {68, 42},
         {80, 14}}},
       {{{50, 2}, {80, 12}, {74, 40}, {50, 47}, {24, 40}, {20, 12}, {50, 2}},
        {{50, 47}, {86, 58}, {84, 90}, {50, 99}, {16, 90}, {14, 58}, {50, 47}}}},
      {{{{82, 24}, {56, 0}, {18, 14}, {18, 44}, {50, 56}, {80, 36}, {84, 14}},
        {{82, 18}, {78, 60}, {60, 97}}},
       {{{80, 30}, {50, 0}, {14, 24}, {42, 56}, {82, 34}, {86, 62}, {62, 98}, {22, 94}}}},
  }};
  return all;
}

class Draw {
 public:
  Draw(uint64_t seed, int64_t index) : rng_(mix_keys(seed, uint64_t(index))) {}
  // Uniform in [low, high].
  int32_t between(int32_t low, int32_t high) {
    return low + int32_t(rng_.below(uint64_t(high - low + 1)));
  }
  // In [-most, most], small values more often: the sum of two uniform ones.
  int32_t around(int32_t most) { return (between(-most, most) + between(-most, most)) / 2; }
  bool one_in(int32_t n) { return between(1, n) == 1; }

 private:
  Rng rng_;
};

// Smooth displacement: a grid of random vectors with bilinear interpolation.
class Warp {
 public:
  Warp(Draw& draw, int32_t most) {
    for (Point& p : grid_) p = {draw.around(most), draw.around(most)};
  }
  Point operator()(Point p) const {
    const auto cell = [](int32_t v, int32_t& part) {
      const int32_t c = std::clamp(v, 0, int32_t(side) * unit - 1) * (n - 1);
      part = c / int32_t(side) % unit;
      return std::min(c / (int32_t(side) * unit), n - 2);
    };
    int32_t fx = 0, fy = 0;
    const int32_t cx = cell(p.x, fx), cy = cell(p.y, fy);
    const auto at = [&](int32_t i, int32_t j) { return grid_[size_t((cy + i) * n + cx + j)]; };
    const auto mix = [&](int32_t a, int32_t b, int32_t c, int32_t d) {
      return ((a * (unit - fx) + b * fx) / unit * (unit - fy) +
              (c * (unit - fx) + d * fx) / unit * fy) /
             unit;
    };
    return {p.x + mix(at(0, 0).x, at(0, 1).x, at(1, 0).x, at(1, 1).x),
            p.y + mix(at(0, 0).y, at(0, 1).y, at(1, 0).y, at(1, 1).y)};
  }

 private:
  static constexpr int32_t n = 4;
  std::array<Point, size_t(n* n)> grid_{};
};

// Cuts corners (Chaikin 1974); the ends stay.
Stroke rounded(const Stroke& in) {
  if (in.size() < 3) return in;
  Stroke out{in.front()};
  for (size_t i = 0; i + 1 < in.size(); ++i) {
    const Point a = in[i], b = in[i + 1];
    if (i > 0) out.push_back({(3 * a.x + b.x) / 4, (3 * a.y + b.y) / 4});
    if (i + 2 < in.size()) out.push_back({(a.x + 3 * b.x) / 4, (a.y + 3 * b.y) / 4});
  }
  out.push_back(in.back());
  return out;
}

int64_t integer_root(int64_t v) {
  int64_t r = 0;
  for (int64_t bit = int64_t(1) << 30; bit > 0; bit >>= 1)
    if ((r + bit) * (r + bit) <= v) r += bit;
  return r;
}

class Canvas {
 public:
  explicit Canvas(uint8_t* pixels) : pixels_(pixels) {
    std::fill_n(pixels, side * side, uint8_t(0));
  }

  // A line of the given half width; ink 0..255 at its middle, edges antialiased over a pixel.
  void line(Point a, Point b, int32_t half_width, int32_t ink) {
    const int32_t reach = half_width + unit;
    const auto pixel = [](int32_t v) { return std::clamp<int64_t>(v / unit, 0, side - 1); };
    const int64_t x0 = pixel(std::min(a.x, b.x) - reach), x1 = pixel(std::max(a.x, b.x) + reach);
    const int64_t y0 = pixel(std::min(a.y, b.y) - reach), y1 = pixel(std::max(a.y, b.y) + reach);
    const int64_t dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    for (int64_t y = y0; y <= y1; ++y)
      for (int64_t x = x0; x <= x1; ++x) {
        const int64_t px = x * unit + unit / 2 - a.x, py = y * unit + unit / 2 - a.y;
        const int64_t along = std::clamp<int64_t>(px * dx + py * dy, 0, length2);
        const int64_t ex = length2 ? px - along * dx / length2 : px;
        const int64_t ey = length2 ? py - along * dy / length2 : py;
        const int64_t distance2 = ex * ex + ey * ey;
        if (distance2 >= int64_t(reach) * reach) continue;
        const int64_t cover = half_width + unit / 2 - integer_root(distance2);
        const int64_t value = std::clamp<int64_t>(cover, 0, unit) * ink / unit;
        uint8_t& to = pixels_[y * side + x];
        to = uint8_t(std::max<int64_t>(to, value));
      }
  }
  // Takes the ink away from a disc.
  void erase(Point center, int32_t radius) {
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x) {
        const int64_t dx = x * unit + unit / 2 - center.x, dy = y * unit + unit / 2 - center.y;
        if (dx * dx + dy * dy < int64_t(radius) * radius) pixels_[y * side + x] = 0;
      }
  }
  void noise(Draw& draw, int32_t most) {
    for (int64_t i = 0; i < side * side; ++i)
      pixels_[i] = uint8_t(std::clamp(int32_t(pixels_[i]) + draw.around(most), 0, 255));
  }

 private:
  uint8_t* pixels_;
};

void draw_digit(Draw& draw, int32_t digit, uint8_t* pixels) {
  const auto& choices = styles()[size_t(digit)];
  const Style& style = choices[size_t(draw.between(0, int32_t(choices.size()) - 1))];
  // Affine map in units of 1/4096: size, slant and turn.
  const int32_t turn = draw.around(1500), slant = draw.around(1300);
  const int32_t xx = draw.between(2300, 4000), yy = draw.between(2900, 4100);
  const int32_t xy = slant - turn, yx = turn;
  const Point middle{int32_t(side) * unit / 2 + draw.around(4 * unit),
                     int32_t(side) * unit / 2 + draw.around(4 * unit)};
  const Warp warp(draw, 5 * unit / 2);
  const int32_t half_width = draw.between(unit * 5 / 10, unit * 15 / 10);
  const int32_t ink = draw.between(150, 255);
  Canvas canvas(pixels);
  for (const Stroke& points : style) {
    Stroke stroke;
    for (const Point& p : points) {
      const int32_t x = (p.x - 50 + draw.around(7)) * unit * 20 / 100;
      const int32_t y = (p.y - 50 + draw.around(7)) * unit * 20 / 100;
      stroke.push_back({middle.x + (xx * x + xy * y) / 4096, middle.y + (yx * x + yy * y) / 4096});
    }
    stroke = rounded(rounded(stroke));
    for (Point& p : stroke) p = warp(p);
    for (size_t i = 0; i + 1 < stroke.size(); ++i)
      canvas.line(stroke[i], stroke[i + 1], half_width, ink);
  }
  const auto anywhere = [&] {
    return Point{draw.between(0, int32_t(side) * unit), draw.between(0, int32_t(side) * unit)};
  };
  if (draw.one_in(3)) {
    const Point center = anywhere();  // drawn first: arguments have no order
    canvas.erase(center, draw.between(unit, 2 * unit));
  }
  for (int32_t strays = draw.between(0, 2); strays > 0; --strays) {
    const Point from = anywhere();
    const Point to{from.x + draw.around(6 * unit), from.y + draw.around(6 * unit)};
    canvas.line(from, to, unit / 2, draw.between(60, ink));
  }
  canvas.noise(draw, draw.between(0, 50));
}

}  // namespace

Examples draw_digits(uint64_t seed, int64_t first, int64_t count) {
  check(first >= 0 && count >= 1, "digits: {} images from {}, expected at least one", count, first);
  Examples e{Tensor::empty({count, 1, side, side}, DType::u8), Tensor::empty({count}, DType::i32)};
  parallel_for((count + 63) / 64, [&](int64_t tile) {
    for (int64_t i = tile * 64; i < std::min(count, (tile + 1) * 64); ++i) {
      Draw draw(mix_keys(seed, hash_name("digits")), first + i);
      const auto digit = int32_t((first + i) % 10);
      e.labels.data<int32_t>()[i] = digit;
      draw_digit(draw, digit, e.images.data<uint8_t>() + i * side * side);
    }
  });
  return e;
}

Dataset make_digits(const DigitsOptions& o) {
  check(o.train >= 1 && o.test >= 1, "digits: {} training and {} test images, expected at least 1",
        o.train, o.test);
  return {.name = "digits",
          .train = draw_digits(o.seed, 0, o.train),
          .test = draw_digits(o.seed, o.train, o.test),
          .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
          .preprocessing = {.mean = {0.1307}, .deviation = {0.3081}},
          .augmentation = {}};
}

}  // namespace pare
