// Data files as bytes, gzipped or not, without trusting them: nothing is allocated that the caller
// has not asked for, so a small file cannot fill the memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace pare {

// Throws Error{bad_input} with the file's name in front unless `ok`.
template <class... Args>
void expect(bool ok, const std::string& name, std::string_view what, const Args&... args) {
  if (!ok) [[unlikely]]
    fail(ErrorCode::bad_input, "{}: {}", name, message(what, args...));
}

bool is_gzip(std::span<const uint8_t> bytes);

// Inflates a gzip stream, or bare deflate data as zip files hold it, piece by piece.
class Inflater {
 public:
  enum class Wrapping { gzip, none };
  // `in` must outlive it; `name` is used in messages.
  Inflater(std::span<const uint8_t> in, std::string name, Wrapping wrapping = Wrapping::gzip);
  ~Inflater();
  // Fills `out` and returns how many bytes came: fewer only where the data end. Damage throws
  // Error{bad_input}.
  size_t read(std::span<uint8_t> out);
  // Throws unless the data end here, whole and with nothing behind them.
  void finish();
  // Throws when the input is too short to hold `bytes` (deflate expands at most 1,032 times): call
  // it before allocating what a header declares.
  void expect_room(int64_t bytes) const;

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  size_t input_bytes_;
  std::string name_;
  bool gzip_ = false;
  bool ended_ = false;
};

}  // namespace pare
