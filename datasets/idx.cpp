#include "datasets/idx.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "core/error.h"

namespace pare {
namespace {

constexpr int64_t max_elements = int64_t(1) << 30;
constexpr size_t max_header = 4 + 4 * 4;

template <class... Args>
void expect(bool ok, const std::string& name, std::string_view what, const Args&... args) {
  if (!ok) fail(ErrorCode::bad_input, "{}: {}", name, message(what, args...));
}

bool is_gzip(std::span<const uint8_t> b) { return b.size() > 1 && b[0] == 0x1f && b[1] == 0x8b; }

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

// Inflates a whole gzip member stream, never holding more than the IDX header inside declares.
std::vector<uint8_t> inflate_idx(std::span<const uint8_t> in, const std::string& name) {
  z_stream stream{};
  expect(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK, name, "zlib could not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, inflateEnd);
  stream.next_in = const_cast<Bytef*>(in.data());
  stream.avail_in = uInt(in.size());
  std::vector<uint8_t> out(max_header);
  size_t wanted = max_header, made = 0;
  bool header_done = false;
  int status = Z_OK;
  while (status == Z_OK && made < wanted) {
    stream.next_out = out.data() + made;
    stream.avail_out = uInt(wanted - made);
    status = inflate(&stream, Z_NO_FLUSH);
    made = wanted - stream.avail_out;
    expect(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR, name,
           "damaged gzip data ({}); download it again", stream.msg ? stream.msg : "truncated");
    if (!header_done && (made == wanted || status == Z_STREAM_END)) {
      header_done = true;
      std::vector<int64_t> extents;
      int64_t elements = 0;
      const size_t begin = parse_header({out.data(), made}, name, extents, elements);
      // Deflate cannot expand more than about 1,032 times.
      expect(elements / 1100 <= int64_t(in.size()), name,
             "declares {} elements, more than {} compressed bytes can hold", elements, in.size());
      wanted = std::max(made, begin + size_t(elements));
      out.resize(wanted);
    }
  }
  out.resize(made);
  uint8_t extra = 0;
  while (status == Z_OK) {
    stream.next_out = &extra;
    stream.avail_out = 1;
    status = inflate(&stream, Z_NO_FLUSH);
    expect(stream.avail_out == 1, name, "holds more than its header declares");
    expect(status == Z_OK || status == Z_STREAM_END, name, "damaged gzip data; download it again");
  }
  expect(status == Z_STREAM_END, name, "gzip data ends too early; download it again");
  expect(stream.avail_in == 0, name, "{} bytes follow the gzip data", stream.avail_in);
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
  struct stat info{};
  if (stat(path.c_str(), &info) != 0)
    fail(ErrorCode::bad_input, "{}: {}", path, std::strerror(errno));
  expect(S_ISREG(info.st_mode), path, "not a regular file");
  expect(info.st_size <= max_elements + int64_t(max_header), path, "{} bytes, at most {} are read",
         info.st_size, max_elements);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) fail(ErrorCode::bad_input, "{}: {}", path, std::strerror(errno));
  std::vector<uint8_t> bytes(size_t(info.st_size));
  const size_t got = std::fread(bytes.data(), 1, bytes.size(), file.get());
  check(got == bytes.size(), ErrorCode::io, "{}: read {} of {} bytes", path, got, bytes.size());
  return parse_idx(bytes, path);
}

}  // namespace pare
