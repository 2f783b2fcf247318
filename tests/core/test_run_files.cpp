// What a run may write: no input of any spelling, no file of another kind, nothing that another
// process writes; and what it leaves behind, which is nothing.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/container.h"
#include "core/error.h"
#include "core/file_io.h"
#include "core/run_files.h"
#include "core/shared_library.h"

using namespace pare;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("pare run files é " + std::to_string(::getpid()));
  Folder() { fs::create_directories(path / "sub"); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  void write(const char* name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
  }
  void model(const char* name, const char* key = "graph") const {
    ContainerWriter writer;
    writer.set_metadata("graph", "{}");
    writer.set_metadata(key, "{}");
    writer.write((path / name).string());
  }
  size_t files() const { return size_t(std::distance(fs::recursive_directory_iterator(path), {})); }
};

// The code of what is thrown, 0 for nothing; the message must hold `says`.
template <class F>
int code_of(F&& f, const std::string& says = "") {
  try {
    f();
  } catch (const Error& e) {
    const std::string text = e.what();
    CAPTURE(text);
    CHECK(text.find(says) != std::string::npos);
    return int(e.code());
  }
  return 0;
}

}  // namespace

TEST_CASE("no output is an input, however the two are called") {
  const Folder f;
  f.model("in.pare");
  fs::create_symlink("in.pare", f.path / "link.pare");
  fs::create_hard_link(f.path / "in.pare", f.path / "hard.pare");
  const char* spellings[] = {"in.pare", "sub/../in.pare", "./in.pare", "link.pare", "hard.pare"};
  for (const char* out : spellings)
    for (const char* in : spellings) {
      CAPTURE(out);
      CAPTURE(in);
      RunFiles files;
      files.reads(f / in, "the teacher");
      CHECK(code_of([&] { files.writes(f / out, "--out", FileKind::model); },
                    "--out would overwrite the teacher") == 1);
      RunFiles other_way;
      other_way.writes(f / out, "--out", FileKind::model);
      CHECK(code_of([&] { other_way.reads(f / in, "the teacher"); },
                    "--out would overwrite the teacher") == 1);
    }
}

TEST_CASE("what the library opens in a scope is an input by itself, before and after") {
  const Folder f;
  f.model("in.pare");
  f.write("data.svg", "<svg>");
  f.write("libplug.svg", "<not a library>");
  RunFiles files;
  {
    const RunFilesScope scope(files);
    read_file(f / "data.svg", 100);
    std::string why;
    open_shared_library(f / "libplug.svg", why);
    for (const char* name : {"data.svg", "sub/../libplug.svg"})
      CHECK(code_of([&] { files.writes(f / name, "--svg", FileKind::svg); },
                    "which this run reads") == 1);
    files.writes(f / "in.pare", "--out", FileKind::model);
    CHECK(code_of([&] { const Container file(f / "in.pare"); }, "--out would overwrite") == 1);
    CHECK(peek_file(f / "in.pare")->size() > 0);
    // Read back after it was written, it is another file.
    f.model("in.pare");
    CHECK(code_of([&] { const Container file(f / "in.pare"); }) == 0);
  }
  CHECK(current_run_files() == nullptr);
}

TEST_CASE("a model may be replaced by the one made of it, and by nothing beside that") {
  const Folder f;
  f.model("in.pare");
  RunFiles files;
  const RunFilesScope scope(files);
  const Container file(f / "in.pare");
  files.may_replace(f / "in.pare", FileKind::model);
  CHECK(code_of([&] { files.writes(f / "in.pare", "the log", FileKind::log); }, "the log") == 1);
  CHECK(code_of([&] { files.writes(f / "in.pare", "--out", FileKind::model); }) == 0);
  RunFiles taught;
  taught.may_replace(f / "in.pare", FileKind::model);
  taught.reads(f / "in.pare", "the teacher");
  taught.force();
  CHECK(code_of([&] { taught.writes(f / "in.pare", "--out", FileKind::model); }, "teacher") == 1);
}

TEST_CASE("two outputs of a run are two files") {
  const Folder f;
  RunFiles files;
  files.writes(f / "a.pare", "--out", FileKind::model);
  files.writes(f / "a.pare", "", FileKind::model);  // by who writes it
  CHECK(code_of([&] { files.writes(f / "sub/../a.pare", "--svg", FileKind::svg); },
                "--svg and --out are the same file") == 1);
  CHECK(code_of([&] { files.writes(f / "a.pare", "--other", FileKind::model); }) == 1);
  CHECK(code_of([&] { files.writes(f / "b.svg", "--svg", FileKind::svg); }) == 0);
}

TEST_CASE("an output replaces its own kind alone, unless that is forced") {
  const Folder f;
  f.model("model");
  f.model("ckpt", "checkpoint");
  f.write("log", "epoch,loss,accuracy,\n");
  f.write("svg", "<svg/>");
  f.write("dot", "digraph {}");
  f.write("png", "\x89PNG\r\n");
  f.write("notes", "what I think of it");
  f.write("table", "epoch,loss\n");  // somebody's
  f.write("drawing", "<?xml version=\"1.0\"?>\n<svg/>");
  f.write("npz", "PK\x03\x04");
  f.write("short", "e");
  f.write("empty", "");
  const std::pair<const char*, FileKind> kinds[] = {
      {"model", FileKind::model}, {"ckpt", FileKind::checkpoint}, {"log", FileKind::log},
      {"svg", FileKind::svg},     {"dot", FileKind::dot},         {"png", FileKind::png}};
  for (const auto& [own, kind] : kinds)
    for (const char* name : {"model", "ckpt", "log", "svg", "dot", "png", "notes", "table",
                             "drawing", "npz", "short"}) {
      CAPTURE(own);
      CAPTURE(name);
      RunFiles files;
      CHECK(code_of([&] { files.writes(f / name, "--out", kind); }) ==
            (std::string(own) == name ? 0 : 1));
      CHECK(code_of([&] { RunFiles().writes(f / "empty", "--out", kind); }) == 0);
      RunFiles forced;
      forced.force();
      CHECK(code_of([&] { forced.writes(f / name, "--out", kind); }) == 0);
    }
  RunFiles files;
  CHECK(code_of([&] { files.writes(f / "npz", "--out", FileKind::model); }, "name another file") ==
        1);
  files.may_be_forced("say please");
  CHECK(code_of([&] { files.writes(f / "npz", "--out", FileKind::model); },
                "name another file, or say please") == 1);
}

TEST_CASE("what cannot be written is told at once, and nothing is left of the trial") {
  const Folder f;
  f.model("locked.pare");
  ::chmod((f / "locked.pare").c_str(), 0444);
  fs::create_symlink("nowhere/x.pare", f.path / "dangling.pare");
  ::mkfifo((f / "pipe.pare").c_str(), 0666);
  const size_t before = f.files();
  for (const auto& [name, says] : {std::pair{"none/x.pare", "no folder"},
                                   {"sub", "regular file"},
                                   {"pipe.pare", "regular file"},
                                   {"locked.pare", "read-only"},
                                   {"dangling.pare", "no folder"},
                                   {"locked.pare/x", "no folder"}}) {
    CAPTURE(name);
    CHECK(code_of([&] { RunFiles().writes(f / name, "--out", FileKind::model); }, says) == 5);
  }
  CHECK(f.files() == before);
  // A link to a place where a file can be made is written through.
  fs::create_symlink("sub/new.pare", f.path / "to-new.pare");
  f.model("to-new.pare");
  CHECK(fs::is_symlink(f.path / "to-new.pare"));
  CHECK(fs::exists(f.path / "sub/new.pare"));
  // A pipe is refused, not waited for.
  CHECK(code_of([&] { open_file(f / "pipe.pare"); }, "not a regular file") == 2);
}

TEST_CASE("a path is one process's at a time; its end, a kill too, leaves nothing") {
  const Folder f;
  fs::create_symlink("a.pare", f.path / "link.pare");
  const size_t before = f.files();
  const auto code = [&](const char* name) { return code_of([&] { claim_file(f / name); }); };
  for (const int end : {SIGTERM, SIGKILL}) {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t other = ::fork();
    if (other == 0) {
      std::signal(SIGTERM, SIG_DFL);
      const FileClaim claim = claim_file(f / "a.pare");
      (void)!::write(ready[1], "x", 1);
      ::pause();
      ::_exit(0);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    for (const char* name : {"a.pare", "sub/../a.pare", "link.pare"}) {
      CAPTURE(name);
      CHECK(code(name) == 1);
      RunFiles forced;
      forced.force();
      CHECK(code_of([&] { forced.writes(f / name, "--out", FileKind::model); }, "another run") ==
            1);
    }
    CHECK(code("b.pare") == 0);
    detail::pretend_no_locks(true);
    CHECK(code("a.pare") == 0);
    detail::pretend_no_locks(false);
    ::kill(other, end);
    ::waitpid(other, nullptr, 0);
    CHECK(code("a.pare") == 0);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  const FileClaim mine = claim_file(f / "a.pare");
  CHECK(code("link.pare") == 0);  // one process shares what it has
  CHECK(f.files() == before);
}

TEST_CASE("where a file system has no locks files are written all the same") {
  const Folder f;
  f.model("left.pare.1.pare-tmp");  // may be somebody's
  const size_t before = f.files();
  detail::pretend_no_locks(true);
  f.model("left.pare");
  check_writable(f / "left.pare");
  detail::pretend_no_locks(false);
  CHECK(f.files() == before + 1);
  f.model("left.pare");
  CHECK(f.files() == before);
}
