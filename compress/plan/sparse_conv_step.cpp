// A convolution with many zeros as a sparse product over shifted planes
// (core/cpu/kernels/sparse.h). An image's channels are copied into zero-padded planes; tap (c, a,
// b) of the kernel is then its plane, shifted, for all output pixels at once: no im2col, the shift
// lies in the offset of the weight. With stride s a channel becomes up to s * s planes, one for
// each phase of rows and columns that a tap reads, so that pixels stay adjacent.
//
// Rows of a plane lie so that the zeros right of one are those left of the next. Where whole
// vectors fit a row of pixels, the product goes row by row; otherwise over all positions from the
// first pixel to the last, and what falls between rows is dropped. Sums run in the order of the
// direct form (kernel row, kernel column, channel): the same bits.
//
// Single weights wait for loads, and those of a shifted tap cross lines of the cache. So where many
// weights share a channel, it becomes three planes, each shifted for one tap of a row: then every
// vector is a line, and rows need no zeros between them.
#include <algorithm>

#include "compress/plan/parts.h"
#include "compress/plan/sparse_forms.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/cpu/sparse_weights.h"

namespace pare::plan {
namespace {

class SparseConvStep : public Step {
 public:
  SparseConvStep(const ConvSpec& s, cpu::SparseForm form) : s_(s) {
    const int64_t kh = s.weight.size(2), kw = s.weight.size(3), in = s.weight.size(1);
    const int64_t c = s.x[1], group = s.weight.size(0) / s.groups, out = s.y[1];
    const float* w = s.weight.data<float>();
    shift_ = s.dilation * (kh - 1) / s.stride;
    copies_ = copies(s);
    lines_ = reads_lines(s, form);
    if (lines_) taps_ = 3;
    place_rows();
    // As many rows at a time as keep the planes of all channels in the cache, evenly cut.
    const int64_t cached = lines_ ? cached_of_taps : cached_of_one;
    const int64_t fitting = std::max<int64_t>(cached / (c * taps_ * row_) - shift_, 1 + shift_);
    const int64_t blocks = (s.y[2] + fitting - 1) / fitting;
    block_ = (s.y[2] + blocks - 1) / blocks;
    plane_ =
        copies_ ? off_sets((block_ + shift_) * row_ + (lines_ ? 0 : s.padding)) : s.x[2] * s.x[3];
    // Fewer vectors at a time share the first cache better.
    if (form == cpu::SparseForm::slices) tile_ = c * taps_ < 64 ? 4 : s.y[3] <= 32 ? 3 : 2;
    // The matrix of all channels; other groups' weights are zeros.
    const auto weight = [&](int64_t o, int64_t k) {
      const int64_t i = k % c - o / group * in, tap = k / c;
      return i >= 0 && i < in ? w[(o * in + i) * kh * kw + tap] : 0.0f;
    };
    const auto offset = [&](int64_t k) {
      const int64_t a = k / c / kw * s.dilation, tap = k / c % kw, b = tap * s.dilation;
      const int64_t plane = plane_of(k % c, a % s.stride, b % s.stride);
      if (lines_) return (plane * 3 + tap) * plane_ + a * row_;
      return plane * plane_ + a / s.stride * row_ + b / s.stride;
    };
    weights_ = cpu::pack_sparse(form, out, kh * kw * c, s.bias.data<float>(), weight, offset);
    s_.weight = s_.bias = Tensor();
    for (const Plane& p : planes_) channels_.push_back(int32_t(p.channel));
    kernel = message("conv2d, sparse by {}, {}x{}", name_of(form), kh, kw);
  }
  // Whether the product reads copies of the planes, or the planes in place.
  static bool copies(const ConvSpec& s) {
    return s.weight.size(2) * s.weight.size(3) > 1 || s.stride > 1 || s.padding > 0;
  }
  int64_t packed_bytes() const override { return weights_.bytes(); }
  int64_t parts(int64_t images) const override {
    const auto stored = int64_t(weights_.values.size());
    return parts_for(images * s_.y[2] * s_.y[3] * stored, images * s_.y[2]);
  }
  void run(const Frame& f, int64_t part, int64_t parts) const override {
    cpu::Scratch scratch;
    Held held;
    if (copies_) held.planes = scratch.take<float>(planes_.size() * size_t(taps_ * plane_) + 32);
    for_rows(f.images * s_.y[2], s_.y[2], part, parts,
             [&](int64_t image, int64_t first, int64_t last) {
               image_rows(f, image, first, last, held);
             });
  }

 private:
  // Floats of x at a time: more than the first cache holds, for rows that blocks share are copied
  // for each, and single weights run nearly as fast from the second; but no more pages than a core
  // finds at once.
  static constexpr int64_t cached_of_one = 28 * 1024, cached_of_taps = 56 * 1024;

  // Whether a channel becomes one plane for each tap of a row: worth its stores where many weights
  // read a plane. Blocks of weights wait for multiply-adds rather than loads.
  bool reads_lines(const ConvSpec& s, cpu::SparseForm form) const {
    if (form != cpu::SparseForm::slices || s.stride > 1 || s.weight.size(3) != 3 ||
        s.padding != s.dilation || s.dilation > kernels_.most_step || s.y[3] < 16 ||
        s.y[3] % kernels_.width != 0)
      return false;
    const int64_t readers = kernels_.width == 16 ? 4 : 5, n = s.weight.elements();
    const float* w = s.weight.data<float>();
    return n - std::count(w, w + n, 0.0f) >= readers * 3 * s.x[1];
  }

  void place_rows() {
    const int64_t y = s_.y[3], width = kernels_.width;
    const int64_t reach = s_.dilation * (s_.weight.size(3) - 1) / s_.stride;
    row_ = lines_ ? y : s_.stride == 1 ? std::max(y, s_.x[3] + s_.padding) : y + reach;
    by_rows_ = row_ == y || (y >= width && 8 * y >= 7 * ((y + width - 1) / width * width));
    // Rows apart begin at whole vectors, so that fewer loads cross a line of the cache; rows of 8
    // pixels lie with their neighbours in one line.
    if (by_rows_ && row_ > y) {
      row_ = (row_ + width - 1) / width * width;
      if (s_.stride == 1) lead_ = ((y == 8 ? 4 : 0) - s_.padding) & 15;
    }
  }

  // Elements of a plane: an odd number of lines of the cache, for planes to spread over its sets.
  static int64_t off_sets(int64_t n) { return (n + 15) / 16 * 16 | 16; }

  struct Plane {
    int64_t channel, row, column;  // the phase
  };

  int64_t plane_of(int64_t channel, int64_t row, int64_t column) {
    if (!copies_) return channel;
    for (size_t i = planes_.size(); i-- > 0;)
      if (planes_[i].channel == channel && planes_[i].row == row && planes_[i].column == column)
        return int64_t(i);
    planes_.push_back({channel, row, column});
    return int64_t(planes_.size()) - 1;
  }

  // The output rows whose planes the scratch holds: the zeros around them serve the same rows of
  // the next image, those between rows any.
  struct Held {
    float* planes = nullptr;
    int64_t first = -1, last = -1;
  };

  // Output rows [first, last) of one image.
  void image_rows(const Frame& f, int64_t image, int64_t first, int64_t last, Held& held) const {
    const int64_t pixels = s_.y[2] * s_.y[3];
    const float* x = f.of(inputs[0]) + image * s_.x[1] * s_.x[2] * s_.x[3];
    const int64_t blocks = copies_ ? (last - first + block_ - 1) / block_ : 1;
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t r0 = first + (last - first) * b / blocks;
      const int64_t r1 = first + (last - first) * (b + 1) / blocks;
      const int64_t at = image * s_.y[1] * pixels + r0 * s_.y[3];
      block_rows(x, r0, r1, held, s_.residual < 0 ? nullptr : f.of(s_.residual) + at,
                 f.of(output) + at);
    }
  }

  void block_rows(const float* x, int64_t first, int64_t last, Held& held, const float* residual,
                  float* y) const {
    const int64_t pixels = s_.y[2] * s_.y[3];
    cpu::SparseProduct p = weights_.product();
    p.x = x + first * row_;
    p.tile = tile_;
    if (copies_) {
      float* planes = held.planes;
      const bool edges = held.first != first || held.last != last;
      const bool whole = !lines_ && held.first < 0;
      held.first = first, held.last = last;
      planes += lead_;
      if (s_.stride == 1)
        fill(x, first, last + shift_, edges, whole, planes);
      else
        for (size_t i = 0; i < planes_.size(); ++i)
          fill_phase(planes_[i], x, first, last + shift_, edges, whole,
                     planes + int64_t(i) * plane_);
      p.x = planes;
    }
    if (by_rows_) {
      p.positions = (last - first) * s_.y[3];
      p.row = row_ == s_.y[3] ? 0 : s_.y[3];
      p.x_row = row_;
      p.y = y;
      p.y_step = pixels;
      p.residual = residual;
      p.relu = s_.relu;
      return kernels_.product(p);
    }
    p.positions = (last - first - 1) * row_ + s_.y[3];
    p.y_step = off_sets(p.positions);
    cpu::Scratch scratch;
    p.y = scratch.take<float>(size_t(p.y_step * s_.y[1]));
    p.relu = s_.relu && !residual;
    kernels_.product(p);
    for (int64_t o = 0; o < s_.y[1]; ++o)
      kernels_.copy({.rows = last - first,
                     .n = s_.y[3],
                     .x = p.y + o * p.y_step,
                     .x_step = row_,
                     .y = y + o * pixels,
                     .y_step = s_.y[3],
                     .residual = residual ? residual + o * pixels : nullptr,
                     .relu = s_.relu && residual});
  }

  // Rows [first, last) of all planes: `edges` where those outside the image are not yet zero, and
  // `whole` where nothing is.
  void fill(const float* x, int64_t first, int64_t last, bool edges, bool whole, float* to) const {
    const int64_t h = s_.x[2], w = s_.x[3], pad = s_.padding;
    const int64_t top = std::clamp(pad, first, last), bottom = std::clamp(h + pad, top, last);
    kernels_.planes({.count = int64_t(channels_.size()),
                     .channels = channels_.data(),
                     .taps = taps_,
                     .step = int(s_.dilation),
                     .rows = bottom - top,
                     .n = w,
                     .x = x + (top - pad) * w,
                     .x_step = h * w,
                     .y = to,
                     .y_step = plane_,
                     .y_row = row_,
                     .head = (top - first) * row_ + (lines_ ? 0 : pad),
                     .tail = (last - bottom) * row_,
                     .edges = edges,
                     .whole = whole});
  }
  // The same of one phase's plane.
  void fill_phase(const Plane& plane, const float* x, int64_t first, int64_t last, bool edges,
                  bool whole, float* to) const {
    const int64_t h = s_.x[2], w = s_.x[3], s = s_.stride;
    const int64_t above = s_.padding - plane.row, left = s_.padding - plane.column;
    // The plane's first row and column that lie in the image.
    const int64_t row = above <= 0 ? 0 : (above + s - 1) / s;
    const int64_t column = left <= 0 ? 0 : (left + s - 1) / s;
    const int64_t top = std::max(first, row);
    const int64_t bottom = std::min(last, (h + above + s - 1) / s);
    const int64_t count = std::min(row_ - column, (w + left + s - 1) / s - column);
    if (whole || (edges && (top > first || bottom < last))) kernels_.zero(to, plane_);
    if (top >= bottom || count <= 0) return;
    const float* from = x + plane.channel * h * w + (top * s - above) * w + column * s - left;
    float* out = to + (top - first) * row_ + column;
    if (s == 2)
      return kernels_.every_second(
          {.rows = bottom - top, .n = count, .x = from, .x_step = s * w, .y = out, .y_step = row_});
    for (int64_t r = top; r < bottom; ++r, from += s * w, out += row_)
      for (int64_t j = 0; j < count; ++j) out[j] = from[j * s];
  }

  // Rows of 8 to 15 pixels fill vectors of 8, where rows lie apart; each element is summed alike,
  // with the same bits.
  static const cpu::SparseKernels& kernels_for(const ConvSpec& s) {
#if defined(__x86_64__)
    if (cpu::kernels().sparse.width == 16 && copies(s) && s.y[3] >= 8 && s.y[3] < 16)
      return cpu::avx2_kernels().sparse;
#endif
    (void)s;
    return cpu::kernels().sparse;
  }

  ConvSpec s_;
  const cpu::SparseKernels& kernels_ = kernels_for(s_);
  cpu::SparseWeights weights_;
  std::vector<Plane> planes_;
  std::vector<int32_t> channels_;  // of the planes
  int taps_ = 1;                   // planes of a channel
  bool lines_ = false;  // a plane for each tap, so that vectors lie in lines of the cache
  int tile_ = 0;        // vectors at a time
  int64_t lead_ = 0;    // floats before the first plane, for the place of rows in lines
  int64_t shift_ = 0;   // rows of a plane that a window reaches down
  int64_t row_ = 0;     // positions of a row of a plane
  int64_t plane_ = 0;   // elements of a plane
  int64_t block_ = 0;   // output rows at a time
  bool copies_ = false;
  bool by_rows_ = false;  // the product writes rows of pixels to their places
};

}  // namespace

std::vector<cpu::SparseForm> forms_for(const ConvSpec& spec) {
  using enum cpu::SparseForm;
  if (SparseConvStep::copies(spec)) return {slices, blocks_4x1, blocks_8x1};
  return {slices, rows, blocks_4x1, blocks_8x1};
}
StepPtr sparse_conv_step(const ConvSpec& spec, cpu::SparseForm form) {
  // Slices read whole lines only where pixels lie side by side; other forms do in place as well.
  if (form == cpu::SparseForm::slices && !SparseConvStep::copies(spec))
    return sparse_pointwise_step(spec);
  return std::make_unique<SparseConvStep>(spec, form);
}

}  // namespace pare::plan
