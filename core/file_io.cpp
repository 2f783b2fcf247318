#include "core/file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/file_lock.h"
#include "core/random.h"
#include "core/run_files.h"

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

 private:
  int fd_;
};

class FileSource : public ByteSource {
 public:
  explicit FileSource(const std::string& path)
      // A pipe is opened without waiting for its writer, and refused.
      : name_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
    if (file_.get() < 0) {
      check(errno != ENXIO, ErrorCode::bad_input, "{}: not a regular file", path);  // a socket
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

constexpr std::string_view temporary_ending = ".pare-tmp";

// A temporary file beside `path`, locked as long as it is written; removed unless it was renamed.
// The lock is how others tell it from what a killed process left behind; where there are no locks
// nobody asks.
class Temporary {
 public:
  Temporary(const std::string& path, mode_t mode) {
    static std::atomic<uint64_t> counter{0};
    const uint64_t start = uint64_t(std::chrono::steady_clock::now().time_since_epoch().count());
    for (int tries = 0; tries < 100 && file_ < 0; ++tries) {
      const uint64_t number = mix_keys(mix_keys(start, uint64_t(::getpid())), ++counter);
      path_ = message("{}.{}{}", path, number, temporary_ending);
      file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      if (file_ < 0 && errno != EEXIST) break;
      struct stat info{};
      if (file_ >= 0 && (lock_file(file_) == LockResult::held || ::fstat(file_, &info) != 0 ||
                         info.st_nlink == 0))  // taken for a left-over before it was locked
        ::close(std::exchange(file_, -1));
    }
    if (file_ < 0) fail_io(path, "create a file beside it");
  }
  ~Temporary() {
    if (!renamed_) ::unlink(path_.c_str());
    if (file_ >= 0) ::close(file_);
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  int file() const { return file_; }

  void flush_and_rename(const std::string& path) {
    if (::fsync(file_) != 0) fail_io(path, "flush it to the disk");
    if (::rename(path_.c_str(), path.c_str()) != 0) fail_io(path, "replace it");
    renamed_ = true;
    if (::close(std::exchange(file_, -1)) != 0) fail_io(path, "close it");
  }

 private:
  std::string path_;
  int file_ = -1;
  bool renamed_ = false;
};

// Removes temporaries of `path` that no living process has locked.
void remove_left_overs(const std::string& path, const std::string& folder) {
  const std::string stem = path.substr(path.rfind('/') + 1) + ".";
  std::error_code ignored;
  for (std::filesystem::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(stem) || !name.ends_with(temporary_ending)) continue;
    const Descriptor file(
        ::open(it->path().c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (file.get() >= 0 && lock_file(file.get()) == LockResult::taken) ::unlink(it->path().c_str());
  }
}

// Where a chain of symbolic links ends, so that writing keeps the links.
std::string behind_links(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_symlink(path, error) ? real_path(path) : path;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

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
  auto file = peek_file(path);
  note_input(path);
  return file;
}
std::unique_ptr<ByteSource> peek_file(const std::string& path) {
  return std::make_unique<FileSource>(path);
}
std::unique_ptr<ByteSource> open_bytes(std::span<const uint8_t> bytes, const std::string& name) {
  return std::make_unique<MemorySource>(bytes, name);
}

std::vector<uint8_t> read_file(const std::string& path, uint64_t max_bytes) {
  const auto file = open_file(path);
  check(file->size() <= max_bytes, ErrorCode::bad_input, "{}: {} bytes, expected at most {}", path,
        file->size(), max_bytes);
  std::vector<uint8_t> bytes(file->size());
  file->read(0, bytes);
  return bytes;
}

std::string real_path(const std::string& path) {
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(path, error);
  // The last name link by link: it may lead to where no file is yet.
  for (int links = 0; links < 40 && std::filesystem::is_symlink(at, error); ++links)
    at = at.parent_path() / std::filesystem::read_symlink(at, error);
  const auto folder = std::filesystem::weakly_canonical(at.parent_path(), error);
  return error ? path : (folder / at.filename()).string();
}

void check_writable(const std::string& path) {
  struct stat info{};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  check(!exists || S_ISREG(info.st_mode), ErrorCode::io, "{}: exists and is not a regular file",
        path);
  check(!exists || (info.st_mode & 0222) != 0, ErrorCode::io,
        "{}: is read-only; make it writable or name another file", path);
  const std::string target = behind_links(path), folder = folder_of(target);
  std::error_code error;
  check(std::filesystem::is_directory(folder, error), ErrorCode::io,
        "{}: there is no folder {}; make it first", path, folder);
  const Temporary probe(target, 0666);
}

void write_file_atomically(const std::string& name,
                           std::span<const std::span<const uint8_t>> parts) {
  const std::string path = behind_links(name);
  const std::string folder = folder_of(path);
  struct stat info{};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  check(!exists || S_ISREG(info.st_mode), ErrorCode::io, "{}: exists and is not a regular file",
        path);
  remove_left_overs(path, folder);
  Temporary temporary(path, 0666);
  if (exists) ::fchmod(temporary.file(), info.st_mode & 07777);
  for (const auto& part : parts) write_all(temporary.file(), part, path);
  temporary.flush_and_rename(path);
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot flush a folder; the rename stands all the same.
  if (directory.get() >= 0) ::fsync(directory.get());
}

}  // namespace pare
