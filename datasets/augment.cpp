#include "datasets/augment.h"

#include <algorithm>

#include "core/random.h"

namespace pare {
namespace {

template <class T>
void place(const T* image, const Shape& shape, const Preprocessing& preprocessing, Placement p,
           float* out) {
  const int64_t channels = shape[0], height = shape[1], width = shape[2];
  for (int64_t c = 0; c < channels; ++c, image += height * width, out += height * width) {
    if (p.dy == 0 && p.dx == 0 && !p.flip) {
      preprocessing.apply(image, out, height * width, c);
      continue;
    }
    const float outside = preprocessing.affine(c).b;  // a pixel of 0
    // Columns [begin, end) of the result come from the image, dx further left.
    const int64_t begin = std::clamp<int64_t>(p.dx, 0, width);
    const int64_t end = std::clamp<int64_t>(width + p.dx, begin, width);
    for (int64_t y = 0; y < height; ++y) {
      float* row = out + y * width;
      const int64_t from = y - p.dy;
      if (from < 0 || from >= height) {
        std::fill_n(row, width, outside);
        continue;
      }
      std::fill(row, row + begin, outside);
      if (begin < end)
        preprocessing.apply(image + from * width + begin - p.dx, row + begin, end - begin, c);
      std::fill(row + end, row + width, outside);
      if (p.flip) std::reverse(row, row + width);
    }
  }
}

}  // namespace

Augmentation Augmentation::parse(const std::string& list) {
  static constexpr std::string_view known[] = {"crop", "shift", "flip", "none"};
  Augmentation out;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string name = list.substr(begin, end - begin);
    if (name == "crop")
      out.shift = std::max(out.shift, 4);
    else if (name == "shift")
      out.shift = std::max(out.shift, 2);
    else if (name == "flip")
      out.flip = true;
    else
      check(name == "none", "unknown augmentation '{}'{}", name,
            suggest(name, known, std::size(known)));
    begin = end + 1;
  }
  return out;
}

uint64_t augmentation_key(uint64_t seed, int64_t epoch) {
  return mix_keys(mix_keys(hash_name("augment"), seed), uint64_t(epoch));
}

Placement draw_placement(const Augmentation& augmentation, uint64_t seed, int64_t epoch,
                         int64_t index) {
  if (!augmentation.any()) return {};
  return draw_placement(augmentation_key(seed, epoch), uint64_t(index), augmentation.shift,
                        augmentation.flip);
}

void place_image(const uint8_t* image, const Shape& shape, const Preprocessing& preprocessing,
                 Placement placement, float* out) {
  place(image, shape, preprocessing, placement, out);
}
void place_image(const float* image, const Shape& shape, const Preprocessing& preprocessing,
                 Placement placement, float* out) {
  place(image, shape, preprocessing, placement, out);
}

}  // namespace pare
