#include "core/file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/error.h"

namespace pare {
namespace {

[[noreturn]] void fail_io(const std::string& path, const char* verb) {
  const int error = errno;
  fail(ErrorCode::io, "{}: cannot {}: {}", path, verb, std::strerror(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class FileSource : public ByteSource {
 public:
  explicit FileSource(const std::string& path)
      : name_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (file_.get() < 0) {
      check(errno != ENOENT && errno != ENOTDIR, ErrorCode::bad_input, "{}: no such file", path);
      fail_io(path, "open it");
    }
    struct stat info{};
    if (::fstat(file_.get(), &info) != 0) fail_io(path, "look at it");
    check(S_ISREG(info.st_mode), ErrorCode::bad_input, "{}: not a regular file", path);
    size_ = uint64_t(info.st_size);
  }
  uint64_t size() const override { return size_; }
  const std::string& name() const override { return name_; }
  void read(uint64_t offset, std::span<uint8_t> to) const override {
    while (!to.empty()) {
      const ssize_t n = ::pread(file_.get(), to.data(), to.size(), off_t(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_io(name_, "read it");
      check(n > 0, ErrorCode::io, "{}: ends at byte {}, it was longer when opened", name_, offset);
      to = to.subspan(size_t(n));
      offset += uint64_t(n);
    }
  }

 private:
  std::string name_;
  Descriptor file_;
  uint64_t size_ = 0;
};

class MemorySource : public ByteSource {
 public:
  MemorySource(std::span<const uint8_t> bytes, const std::string& name)
      : bytes_(bytes), name_(name) {}
  uint64_t size() const override { return bytes_.size(); }
  const std::string& name() const override { return name_; }
  void read(uint64_t offset, std::span<uint8_t> to) const override {
    std::copy_n(bytes_.begin() + std::ptrdiff_t(offset), to.size(), to.begin());
  }

 private:
  std::span<const uint8_t> bytes_;
  std::string name_;
};

// The temporary file; removed unless it was renamed.
struct Temporary {
  std::string path;
  bool renamed = false;
  ~Temporary() {
    if (!renamed) ::unlink(path.c_str());
  }
};

void write_all(int fd, std::span<const uint8_t> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io(path, "write it");
    bytes = bytes.subspan(size_t(n));
  }
}

}  // namespace

std::unique_ptr<ByteSource> open_file(const std::string& path) {
  return std::make_unique<FileSource>(path);
}
std::unique_ptr<ByteSource> open_bytes(std::span<const uint8_t> bytes, const std::string& name) {
  return std::make_unique<MemorySource>(bytes, name);
}

std::vector<uint8_t> read_file(const std::string& path, uint64_t max_bytes) {
  const FileSource file(path);
  check(file.size() <= max_bytes, ErrorCode::bad_input, "{}: {} bytes, expected at most {}", path,
        file.size(), max_bytes);
  std::vector<uint8_t> bytes(file.size());
  file.read(0, bytes);
  return bytes;
}

void write_file_atomically(const std::string& path,
                           std::span<const std::span<const uint8_t>> parts) {
  static std::atomic<unsigned> counter{0};
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  struct stat info{};
  check(::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode), ErrorCode::io,
        "{}: exists and is not a regular file", path);
  Temporary temporary{message("{}.{}-{}.tmp", path, int(::getpid()), counter.fetch_add(1))};
  Descriptor file(::open(temporary.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) fail_io(path, "create a file beside it");
  for (const auto& part : parts) write_all(file.get(), part, path);
  if (::fsync(file.get()) != 0) fail_io(path, "flush it to the disk");
  if (::close(file.release()) != 0) fail_io(path, "close it");
  if (::rename(temporary.path.c_str(), path.c_str()) != 0) fail_io(path, "replace it");
  temporary.renamed = true;
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot flush a folder; the rename stands all the same.
  if (directory.get() >= 0) ::fsync(directory.get());
}

}  // namespace pare
