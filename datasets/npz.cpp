#include "datasets/npz.h"

#include <algorithm>
#include <cmath>

#include "core/file_io.h"
#include "datasets/gzip.h"
#include "datasets/npy.h"
#include "datasets/pixels.h"
#include "datasets/zip.h"

namespace pare {
namespace {

constexpr uint64_t max_file_bytes = uint64_t(4) << 30;
constexpr int64_t max_classes = 10000;

class Archive {
 public:
  Archive(std::span<const uint8_t> bytes, const std::string& name)
      : bytes_(bytes), name_(name), members_(list_zip(bytes, name)) {}

  bool has(const std::string& array) const {
    return std::any_of(members_.begin(), members_.end(),
                       [&](const ZipMember& m) { return m.name == array + ".npy"; });
  }
  // The array called either way.
  NpyArray array(const std::string& ours, const std::string& keras) const {
    for (const ZipMember& m : members_)
      if (m.name == ours + ".npy" || m.name == keras + ".npy") {
        const std::string full = label(m.name);
        return parse_npy(extract_zip(bytes_, m, full), full);
      }
    std::string there;
    for (const ZipMember& m : members_) there += (there.empty() ? "" : ", ") + m.name;
    fail(ErrorCode::bad_input, "{}: no array '{}' (or '{}'); it holds: {}", name_, ours, keras,
         there.empty() ? "nothing" : there);
  }
  std::string label(const std::string& member) const { return message("{}: {}", name_, member); }

 private:
  std::span<const uint8_t> bytes_;
  const std::string& name_;
  std::vector<ZipMember> members_;
};

bool is_channels(int64_t extent) { return extent == 1 || extent == 3 || extent == 4; }

// "chw" or "hwc", of an array [N,a,b,c]: as stated, as the model takes it, as 1, 3 or 4 channels
// tell, as the model's own data were.
std::string axes_of(const Shape& s, const DatasetOptions& options, const std::string& name) {
  if (!options.axes.empty()) return options.axes;
  const Shape first{s[1], s[2], s[3]}, last{s[3], s[1], s[2]};
  if (first.elements() == 1) return "chw";
  const Preprocessing model = options.model.value_or(Preprocessing{});
  if ((first == model.size) != (last == model.size)) return first == model.size ? "chw" : "hwc";
  if (is_channels(s[1]) != is_channels(s[3])) return is_channels(s[1]) ? "chw" : "hwc";
  if (!model.axes.empty()) return model.axes;
  fail(ErrorCode::bad_input,
       "{}: shape {}: channels may be {} (N,C,H,W) or {} (N,H,W,C), and the shape does not tell "
       "which they are; say it with --axes chw or --axes hwc (DatasetOptions::axes)",
       name, s, s[1], s[3]);
}

// What f32 loses of doubles, against how far they are apart.
struct Spread {
  double first = 0, sum = 0, squares = 0, lost = 0, count = 0;
  void add(double x) {
    if (count++ == 0) first = x;
    sum += x - first;
    squares += (x - first) * (x - first);
    lost += (x - double(float(x))) * (x - double(float(x)));
  }
  bool survives() const { return lost <= 1e-4 * (squares - sum * sum / count); }
};

// Bytes stay bytes, and so do wider integers that are bytes; floats become f32.
Tensor images_of(const NpyArray& a, const std::string& axes, const std::string& name) {
  const Shape& s = a.shape;
  const bool last = axes == "hwc";
  const int64_t n = s[0], c = s.rank() == 3 ? 1 : (last ? s[3] : s[1]);
  const int64_t h = last || s.rank() == 3 ? s[1] : s[2], w = last || s.rank() == 3 ? s[2] : s[3];
  const Tensor out = Tensor::empty({n, c, h, w}, a.kind == 'f' ? DType::f32 : DType::u8);
  std::vector<Spread> spread(size_t(a.kind == 'f' && a.item_bytes == 8 ? c : 0));
  int64_t to = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < c; ++k)
      for (int64_t p = 0; p < h * w; ++p, ++to) {
        const double x = a.at(last ? (i * h * w + p) * c + k : to);
        expect(std::isfinite(x), name, "image {} holds {}", i, x);
        expect(a.kind == 'f' || (x >= 0 && x <= 255), name,
               "image {} holds {}; integers are bytes, 0 to 255: save other numbers as floats, "
               "images.astype(numpy.float32)",
               i, x);
        if (!spread.empty()) spread[size_t(k)].add(x);
        if (a.kind == 'f')
          out.data<float>()[to] = float(x);
        else
          out.data<uint8_t>()[to] = uint8_t(x);
      }
  for (const Spread& one : spread)
    expect(
        one.squares == 0 || one.survives(), name,
        "doubles that hardly differ beside their size ({}): 32-bit floats, which networks compute "
        "in, lose the difference; subtract what they have in common",
        one.first);
  return out;
}

Tensor labels_of(const NpyArray& a, const std::string& name) {
  expect(a.shape.rank() == 1 || (a.shape.rank() == 2 && a.shape[1] == 1), name,
         "shape {}, expected N or N,1", a.shape);
  expect(a.kind != 'f', name, "labels are floating point, expected integers");
  const Tensor out = Tensor::empty({a.shape[0]}, DType::i32);
  for (int64_t i = 0; i < a.shape[0]; ++i) {
    const double x = a.at(i);
    expect(x >= 0 && x < double(max_classes), name, "label {} of example {}, expected 0..{}", x, i,
           max_classes - 1);
    out.data<int32_t>()[i] = int32_t(x);
  }
  return out;
}

// Deviations below this share of the largest value are what f32 makes of a constant.
constexpr double constant = 1e-7;

Preprocessing standardize(const Tensor& images) {
  Preprocessing p;
  p.scale = images.dtype() == DType::u8 ? 1.0 / 255 : 1;
  const int64_t pixels = images.size(2) * images.size(3), channels = images.size(1);
  const double count = double(images.size(0) * pixels);
  for (int64_t c = 0; c < channels; ++c) {
    const auto each = [&](auto&& f) {
      for (int64_t i = 0; i < images.size(0); ++i)
        for (int64_t k = 0; k < pixels; ++k) {
          const int64_t at = (i * channels + c) * pixels + k;
          f(p.scale *
            (images.dtype() == DType::u8 ? images.data<uint8_t>()[at] : images.data<float>()[at]));
        }
    };
    double sum = 0, squares = 0, largest = 0;
    each([&](double x) {
      sum += x;
      squares += x * x;
      largest = std::max(largest, std::abs(x));
    });
    const double mean = sum / count;
    double variance = squares / count - mean * mean;
    if (variance < 1e-6 * squares / count) {  // the two cancel: once more, about the mean
      variance = 0;
      each([&](double x) { variance += (x - mean) * (x - mean) / count; });
    }
    p.mean.push_back(mean);
    p.deviation.push_back(std::sqrt(variance) > constant * largest ? std::sqrt(variance) : 1);
  }
  return p;
}

std::optional<PixelRange> stated_pixels(const Archive& archive, const DatasetOptions& options,
                                        DType dtype) {
  std::optional<PixelRange> stated = options.pixels;
  const std::string name = "pixel_range";
  if (!stated && archive.has(name)) {
    const NpyArray a = archive.array(name, name);
    expect(a.shape == Shape{2}, archive.label(name),
           "shape {}, expected two numbers, black and white", a.shape);
    stated = PixelRange{.low = a.at(0), .high = a.at(1)};
  }
  if (!stated) return {};
  expect(std::isfinite(stated->low) && std::isfinite(stated->high) && stated->low < stated->high,
         archive.label(name), "black {} and white {}, expected two numbers, the smaller first",
         stated->low, stated->high);
  expect(dtype != DType::u8 || (stated->low >= 0 && stated->high <= 255), archive.label(name),
         "black {} and white {}; the images are bytes, 0 to 255", stated->low, stated->high);
  stated->kind = dtype == DType::u8 ? PixelRange::Kind::bytes : PixelRange::Kind::floats;
  return stated;
}

}  // namespace

Dataset parse_npz(std::span<const uint8_t> bytes, const std::string& name,
                  const DatasetOptions& options) {
  const Archive archive(bytes, name);
  std::string axes;
  const auto part = [&](const std::string& which) {
    const std::string images = which + "_images", labels = which + "_labels";
    const NpyArray a = archive.array(images, "x_" + which);
    expect(a.shape.rank() == 3 || a.shape.rank() == 4, archive.label(images),
           "shape {}, expected N,H,W or four axes", a.shape);
    check(options.axes.empty() || a.shape.rank() == 4,
          "{}: shape {} has no axis of channels, so axes '{}' have no part in it; leave them out",
          archive.label(images), a.shape, options.axes);
    if (axes.empty() && a.shape.rank() == 4)
      axes = axes_of(a.shape, options, archive.label(images));
    Examples e{images_of(a, axes, archive.label(images)),
               labels_of(archive.array(labels, "y_" + which), archive.label(labels))};
    check_examples(e, max_classes, archive.label(which));
    return e;
  };
  Dataset data;
  data.name = "npz:" + name;
  data.train = part("train");
  data.test = part("test");
  int32_t classes = 0;
  for (const Examples* e : {&data.train, &data.test})
    for (int64_t i = 0; i < e->size(); ++i)
      classes = std::max(classes, e->labels.data<int32_t>()[i] + 1);
  data.classes = numbered_classes(classes);
  data.named = false;
  Preprocessing& p = data.preprocessing = standardize(data.train.images);
  p.pixels = stated_pixels(archive, options, data.train.images.dtype());
  if (!p.pixels) p.pixels = pixels_of(data);
  p.axes = axes;
  p.size = data.train.shape();
  check_dataset(data);
  return data;
}

Dataset read_npz(const std::string& path, const DatasetOptions& options) {
  return parse_npz(read_file(path, max_file_bytes), path, options);
}

}  // namespace pare
