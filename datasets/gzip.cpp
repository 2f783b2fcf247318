#include "datasets/gzip.h"

#include <zlib.h>

namespace pare {

bool is_gzip(std::span<const uint8_t> b) { return b.size() > 1 && b[0] == 0x1f && b[1] == 0x8b; }

struct Inflater::Stream : z_stream {
  Stream() : z_stream{} {}
};

Inflater::Inflater(std::span<const uint8_t> in, std::string name, Wrapping wrapping)
    : stream_(std::make_unique<Stream>()),
      input_bytes_(in.size()),
      name_(std::move(name)),
      gzip_(wrapping == Wrapping::gzip) {
  expect(in.size() < (size_t(1) << 32), name_, "{} compressed bytes, at most 4 GiB are read",
         in.size());
  stream_->next_in = const_cast<Bytef*>(in.data());
  stream_->avail_in = uInt(in.size());
  const int bits = gzip_ ? 16 + MAX_WBITS : -MAX_WBITS;
  check(inflateInit2(stream_.get(), bits) == Z_OK, ErrorCode::io, "{}: zlib could not start",
        name_);
}

Inflater::~Inflater() { inflateEnd(stream_.get()); }

size_t Inflater::read(std::span<uint8_t> out) {
  size_t made = 0;
  while (!ended_ && made < out.size()) {
    const uInt room = uInt(std::min(out.size() - made, size_t(1) << 30));
    stream_->next_out = out.data() + made;
    stream_->avail_out = room;
    const int status = inflate(stream_.get(), Z_NO_FLUSH);
    made += room - stream_->avail_out;
    ended_ = status == Z_STREAM_END;
    // A gzip file may consist of several streams, one after another.
    if (ended_ && gzip_ && is_gzip({stream_->next_in, stream_->avail_in}))
      ended_ = inflateReset(stream_.get()) != Z_OK;
    expect(status == Z_OK || status == Z_STREAM_END, name_,
           "damaged compressed data ({}); get the file again",
           stream_->msg ? stream_->msg : "truncated");
  }
  return made;
}

void Inflater::finish() {
  uint8_t extra = 0;
  expect(read({&extra, 1}) == 0, name_, "holds more than its header declares");
  expect(stream_->avail_in == 0, name_, "{} bytes follow the compressed data", stream_->avail_in);
}

void Inflater::expect_room(int64_t bytes) const {
  expect(bytes / 1100 <= int64_t(input_bytes_), name_,
         "declares {} bytes, more than {} compressed bytes can hold", bytes, input_bytes_);
}

}  // namespace pare
