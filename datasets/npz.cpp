#include "datasets/npz.h"

#include <algorithm>
#include <cmath>

#include "core/file_io.h"
#include "datasets/gzip.h"
#include "datasets/npy.h"
#include "datasets/zip.h"

namespace pare {
namespace {

constexpr uint64_t max_file_bytes = uint64_t(4) << 30;
constexpr int64_t max_classes = 10000;

class Archive {
 public:
  Archive(std::span<const uint8_t> bytes, const std::string& name)
      : bytes_(bytes), name_(name), members_(list_zip(bytes, name)) {}

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

// Bytes stay bytes; floats become f32.
Tensor images_of(const NpyArray& a, const std::string& name) {
  const Shape& s = a.shape;
  expect(s.rank() == 3 || s.rank() == 4, name, "shape {}, expected N,H,W or four axes", s);
  expect(a.kind == 'f' || a.item_bytes == 1, name, "elements of {} bytes, expected u1, f4 or f8",
         a.item_bytes);
  const bool last = s.rank() == 4 && is_channels(s[3]) && !is_channels(s[1]);
  const int64_t n = s[0], c = s.rank() == 3 ? 1 : (last ? s[3] : s[1]);
  const int64_t h = last || s.rank() == 3 ? s[1] : s[2], w = last || s.rank() == 3 ? s[2] : s[3];
  const Tensor out = Tensor::empty({n, c, h, w}, a.kind == 'f' ? DType::f32 : DType::u8);
  int64_t to = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < c; ++k)
      for (int64_t p = 0; p < h * w; ++p, ++to) {
        const double x = a.at(last ? (i * h * w + p) * c + k : to);
        expect(std::isfinite(x) && (a.kind != 'i' || x >= 0), name, "image {} holds {}", i, x);
        if (a.kind == 'f')
          out.data<float>()[to] = float(x);
        else
          out.data<uint8_t>()[to] = uint8_t(x);
      }
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

Preprocessing standardize(const Tensor& images) {
  Preprocessing p;
  p.scale = images.dtype() == DType::u8 ? 1.0 / 255 : 1;
  const int64_t pixels = images.size(2) * images.size(3), channels = images.size(1);
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < images.size(0); ++i)
      for (int64_t k = 0; k < pixels; ++k) {
        const int64_t at = (i * channels + c) * pixels + k;
        const double x = p.scale * (images.dtype() == DType::u8 ? images.data<uint8_t>()[at]
                                                                : images.data<float>()[at]);
        sum += x;
        squares += x * x;
      }
    const double count = double(images.size(0) * pixels), mean = sum / count;
    const double variance = squares / count - mean * mean;
    p.mean.push_back(mean);
    p.deviation.push_back(variance > 1e-12 ? std::sqrt(variance) : 1);
  }
  return p;
}

}  // namespace

Dataset parse_npz(std::span<const uint8_t> bytes, const std::string& name) {
  const Archive archive(bytes, name);
  const auto part = [&](const std::string& which) {
    const std::string images = which + "_images", labels = which + "_labels";
    Examples e{images_of(archive.array(images, "x_" + which), archive.label(images)),
               labels_of(archive.array(labels, "y_" + which), archive.label(labels))};
    check_examples(e, max_classes, archive.label(which));
    return e;
  };
  Dataset data;
  data.name = "npz";
  data.train = part("train");
  data.test = part("test");
  int32_t classes = 0;
  for (const Examples* e : {&data.train, &data.test})
    for (int64_t i = 0; i < e->size(); ++i)
      classes = std::max(classes, e->labels.data<int32_t>()[i] + 1);
  for (int32_t c = 0; c < classes; ++c) data.classes.push_back(std::to_string(c));
  data.preprocessing = standardize(data.train.images);
  check_dataset(data);
  return data;
}

Dataset read_npz(const std::string& path) {
  Dataset data = parse_npz(read_file(path, max_file_bytes), path);
  data.name = "npz:" + path;
  return data;
}

}  // namespace pare
