// Locks on files, as far as the file system has them. The kernel drops them with the process,
// however that ends, and nothing of them lies in a folder.
#pragma once

#include <memory>
#include <string>

namespace pare {

enum class LockResult { taken, held, unsupported };  // held: by somebody else

// An exclusive lock on an open file (flock), without waiting. Closing the file drops it.
LockResult lock_file(int descriptor);

// The right to write the file at a path; it ends with the last copy.
using FileClaim = std::shared_ptr<const void>;
// Claims a path, whether a file is there or not; another spelling of it or a symbolic link to it is
// the same path. Within one process all who claim it share it. Throws Error{usage} where another
// process has it. Where the file system has no such locks nobody is kept out.
FileClaim claim_file(const std::string& path);

namespace detail {
// For tests: the next locks find a file system without any.
void pretend_no_locks(bool yes);
}  // namespace detail

}  // namespace pare
