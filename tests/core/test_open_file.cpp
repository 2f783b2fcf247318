// What is no regular file is refused before it is read, and nothing waits for a pipe's writer.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "autograd/plugin.h"
#include "core/error.h"
#include "core/file_io.h"
#include "core/shared_library.h"

using namespace pare;
namespace fs = std::filesystem;

TEST_CASE("pipes, sockets, devices and folders are refused wherever a file is opened") {
  const fs::path folder = fs::temp_directory_path() / ("odd files " + std::to_string(::getpid()));
  fs::create_directory(folder);
  const std::string pipe = folder / "pipe", listener = folder / "socket";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, listener.c_str(), sizeof address.sun_path - 1);
  REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  const std::string link = folder / "link";
  fs::create_symlink(pipe, link);
  for (const std::string& path :
       {pipe, listener, link, folder.string(), std::string("/dev/zero"), std::string("/dev/tty")}) {
    CAPTURE(path);
    const std::string says = path + ": not a regular file";
    if (path != "/dev/tty")  // there may be none
      CHECK_THROWS_WITH_AS(open_file(path), says.c_str(), Error);
    CHECK_THROWS_AS(read_file(path, 1000), Error);
    CHECK_THROWS_AS(load_plugin(path), Error);
    CHECK_THROWS_AS(check_writable(path), Error);
    CHECK_THROWS_AS(write_file_atomically(path, {}), Error);
    std::string why;
    CHECK(open_shared_library(path, why) == nullptr);
    CHECK(why != "");
  }
  // A pipe that looks like what a killed process left is not waited for either.
  REQUIRE(::mkfifo((folder / "m.pare.7.pare-tmp").c_str(), 0600) == 0);
  CHECK_NOTHROW(write_file_atomically(folder / "m.pare", {}));
  ::close(socket);
  fs::remove_all(folder);
}
