#include "datasets/cifar.h"

#include <cstring>

#include "core/file_io.h"
#include "datasets/gzip.h"

namespace pare {
namespace {

constexpr int64_t pixels = 3 * 32 * 32;

// Puts one file's records at rows [first, first + layout.records) of `to`.
void parse_into(std::span<const uint8_t> bytes, const std::string& name, const CifarLayout& layout,
                const Examples& to, int64_t first) {
  const int64_t record = layout.label_bytes + pixels, wanted = layout.records * record;
  std::vector<uint8_t> inflated;
  if (is_gzip(bytes)) {
    Inflater inflater(bytes, name);
    inflater.expect_room(wanted);
    inflated.resize(size_t(wanted));
    inflated.resize(inflater.read(inflated));
    expect(int64_t(inflated.size()) == wanted, name,
           "{} bytes after inflating, expected {} records of {} bytes", inflated.size(),
           layout.records, record);
    inflater.finish();
    bytes = inflated;
  }
  expect(int64_t(bytes.size()) == wanted, name, "{} bytes, expected {} records of {} bytes",
         bytes.size(), layout.records, record);
  for (int64_t i = 0; i < layout.records; ++i) {
    const uint8_t* from = bytes.data() + i * record;
    const int32_t label = from[layout.label_bytes - 1];
    expect(label < layout.classes, name, "record {} has label {}, expected 0 to {}", i, label,
           layout.classes - 1);
    to.labels.data<int32_t>()[first + i] = label;
    std::memcpy(to.images.data<uint8_t>() + (first + i) * pixels, from + layout.label_bytes,
                size_t(pixels));
  }
}

Examples empty_examples(int64_t n) {
  return {Tensor::empty({n, 3, 32, 32}, DType::u8), Tensor::empty({n}, DType::i32)};
}

}  // namespace

Examples parse_cifar(std::span<const uint8_t> bytes, const std::string& name,
                     const CifarLayout& layout) {
  const Examples out = empty_examples(layout.records);
  parse_into(bytes, name, layout, out, 0);
  return out;
}

Examples read_cifar(const std::vector<std::string>& paths, const CifarLayout& layout) {
  const Examples out = empty_examples(layout.records * int64_t(paths.size()));
  const int64_t size = layout.records * (layout.label_bytes + pixels);
  for (size_t i = 0; i < paths.size(); ++i)
    parse_into(read_file(paths[i], size + (1 << 20)), paths[i], layout, out,
               layout.records * int64_t(i));
  return out;
}

}  // namespace pare
