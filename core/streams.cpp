#include "core/streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "core/text.h"

namespace pare {

void guard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  // Opened for reading alone, so that writing fails as it would on the closed stream.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0) (void)!::open("/dev/null", O_RDONLY);
}

void tell(const std::string& text) {
  std::fputs((printable(text) + "\n").c_str(), stderr);
  std::fflush(stderr);
}

void answer(const std::string& text) {
  const std::string line = printable(text) + "\n";
  const bool written = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
                       std::fflush(stdout) == 0 && !std::ferror(stdout);
  check(written, ErrorCode::io, "cannot write the result to standard output: {}",
        std::strerror(errno));
}

}  // namespace pare
