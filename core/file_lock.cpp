#include "core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/file_io.h"
#include "core/random.h"

namespace pare {
namespace {

std::atomic<bool> no_locks{false};

struct OpenFolder {
  explicit OpenFolder(const std::string& path)
      : descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  ~OpenFolder() {
    if (descriptor >= 0) ::close(descriptor);
  }
  OpenFolder(const OpenFolder&) = delete;
  OpenFolder& operator=(const OpenFolder&) = delete;
  const int descriptor;
};

// A file that is replaced by renaming cannot carry a lock of its own, so a byte of its folder does,
// whose number follows from the name. Folders take shared locks alone: who finds a second one on
// the byte was late, and withdraws.
LockResult lock_name(int folder, const std::string& name) {
  if (no_locks || folder < 0) return LockResult::unsupported;
  struct flock byte{};
  byte.l_whence = SEEK_SET;
  byte.l_start = off_t(hash_name(name) >> 2);
  byte.l_len = 1;
  byte.l_type = F_RDLCK;
  if (::fcntl(folder, F_OFD_SETLK, &byte) != 0) return LockResult::unsupported;
  struct flock other = byte;
  other.l_type = F_WRLCK;
  if (::fcntl(folder, F_OFD_GETLK, &other) != 0 || other.l_type == F_UNLCK)
    return LockResult::taken;
  byte.l_type = F_UNLCK;
  ::fcntl(folder, F_OFD_SETLK, &byte);
  return LockResult::held;
}

}  // namespace

LockResult lock_file(int descriptor) {
  if (no_locks) return LockResult::unsupported;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return LockResult::taken;
  return errno == EWOULDBLOCK ? LockResult::held : LockResult::unsupported;
}

FileClaim claim_file(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const void>> claimed;
  const std::filesystem::path target = real_path(path);
  const std::lock_guard guard(mutex);
  if (auto mine = claimed[target.string()].lock()) return mine;
  const auto folder = std::make_shared<const OpenFolder>(target.parent_path().string());
  // Two that begin at once may both withdraw, and try again after different times.
  for (int tries = 0; lock_name(folder->descriptor, target.filename().string()) == LockResult::held;
       ++tries) {
    check(tries < 4, "{}: another run is writing it; wait until that ends, or name another file",
          path);
    std::this_thread::sleep_for(
        std::chrono::milliseconds(1 + mix_keys(uint64_t(::getpid()), uint64_t(tries)) % 20));
  }
  claimed[target.string()] = folder;
  return folder;
}

void detail::pretend_no_locks(bool yes) { no_locks = yes; }

}  // namespace pare
