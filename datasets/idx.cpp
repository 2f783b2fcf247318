#include "datasets/idx.h"

#include <algorithm>

#include "core/file_io.h"
#include "datasets/gzip.h"

namespace pare {
namespace {

constexpr int64_t max_elements = int64_t(1) << 30;
constexpr size_t max_header = 4 + 4 * 4;

// Checks a header and returns where the elements begin; `extents` gets the shape.
size_t parse_header(std::span<const uint8_t> b, const std::string& name,
                    std::vector<int64_t>& extents, int64_t& elements) {
  expect(b.size() >= 4, name, "{} bytes, an IDX file has at least 4", b.size());
  expect(b[0] != '<', name, "this looks like a web page, expected an IDX file; download it again");
  expect(b[0] == 0 && b[1] == 0, name, "starts with bytes {} {}, an IDX file starts with 0 0",
         int(b[0]), int(b[1]));
  expect(b[2] == 8, name, "element type {}, expected 8 (unsigned bytes)", int(b[2]));
  const size_t rank = b[3];
  expect(rank >= 1 && rank <= 4, name, "{} axes, expected 1 to 4", rank);
  expect(b.size() >= 4 + 4 * rank, name, "ends inside its header");
  elements = 1;
  for (size_t i = 0; i < rank; ++i) {
    const uint8_t* p = b.data() + 4 + 4 * i;
    const int64_t extent = int64_t(p[0]) << 24 | p[1] << 16 | p[2] << 8 | p[3];
    elements *= extent;
    expect(elements <= max_elements, name, "declares more than {} elements", max_elements);
    extents.push_back(extent);
  }
  return 4 + 4 * rank;
}

// Inflates a whole file, never holding more than the IDX header inside declares.
std::vector<uint8_t> inflate_idx(std::span<const uint8_t> in, const std::string& name) {
  Inflater inflater(in, name);
  std::vector<uint8_t> out(max_header);
  out.resize(inflater.read(out));
  const size_t have = out.size();
  std::vector<int64_t> extents;
  int64_t elements = 0;
  const size_t begin = parse_header(out, name, extents, elements);
  inflater.expect_room(elements);
  out.resize(std::max(have, begin + size_t(elements)));
  out.resize(have + inflater.read(std::span(out).subspan(have)));
  inflater.finish();
  return out;
}

}  // namespace

IdxFile parse_idx(std::span<const uint8_t> bytes, const std::string& name) {
  std::vector<uint8_t> inflated;
  if (is_gzip(bytes)) {
    inflated = inflate_idx(bytes, name);
    bytes = inflated;
  }
  IdxFile file;
  int64_t elements = 0;
  const size_t begin = parse_header(bytes, name, file.extents, elements);
  expect(bytes.size() - begin == size_t(elements), name,
         "{} bytes of elements, its header declares {}", bytes.size() - begin, elements);
  file.bytes.assign(bytes.begin() + ptrdiff_t(begin), bytes.end());
  return file;
}

IdxFile read_idx(const std::string& path) {
  return parse_idx(read_file(path, max_elements + int64_t(max_header)), path);
}

}  // namespace pare
