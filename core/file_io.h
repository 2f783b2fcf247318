// Files, whole: bounded reading, and writing that never leaves half a file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pare {

// A file opened for reading at any offset, or bytes in memory that stand for one.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  virtual const std::string& name() const = 0;
  // Fills `to` from `offset`; the range must lie within size(). Throws Error{io} where reading
  // fails.
  virtual void read(uint64_t offset, std::span<uint8_t> to) const = 0;
};
// Throws Error{bad_input} where the path names no regular file, Error{io} where it cannot be
// opened.
std::unique_ptr<ByteSource> open_file(const std::string& path);
// The same for who only asks what a file is: it is no input of the run (core/run_files.h).
std::unique_ptr<ByteSource> peek_file(const std::string& path);
// `bytes` must outlive the source; `name` is used in messages.
std::unique_ptr<ByteSource> open_bytes(std::span<const uint8_t> bytes, const std::string& name);

// The bytes of a file of at most `max_bytes`; larger ones are Error{bad_input}.
std::vector<uint8_t> read_file(const std::string& path, uint64_t max_bytes);

// Writes the parts one after another to a temporary file beside `path`, flushes it to the disk,
// renames it to `path` and flushes the folder: whatever happens, `path` holds either the old bytes
// or all of the new ones. A symbolic link stays one, and a file keeps its mode. Throws Error{io};
// the temporary is removed, as are those that killed processes left.
void write_file_atomically(const std::string& path,
                           std::span<const std::span<const uint8_t>> parts);
// Throws Error{io} where write_file_atomically could not begin, or would replace a file that was
// made read-only: to ask before hours of work.
void check_writable(const std::string& path);

// Where writing a path leads: absolute, without symbolic links, whether a file is there or not.
std::string real_path(const std::string& path);

}  // namespace pare
