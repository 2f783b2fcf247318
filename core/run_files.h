// The files of one run: no output of it replaces an input, another output, or a file of another
// kind than its own, whatever spelling, symbolic or hard link names it.
//
// While a RunFilesScope lives, every file that the library opens is an input of its run by itself.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>
#include <vector>

#include "core/file_lock.h"

namespace pare {

// What an output holds. It replaces a file of the same kind, or an empty one.
enum class FileKind { model, checkpoint, log, svg, dot, png };

class RunFiles {
 public:
  // An input that no output may replace; `what` names it in messages ("the teacher"). Throws
  // Error{usage} where it is an output already.
  void reads(const std::string& path, const std::string& what);
  // An input that an output of this kind may replace, unless reads() says otherwise: the model that
  // a command changes, the checkpoint that it goes on with.
  void may_replace(const std::string& path, FileKind kind);
  // An output, which `option` names in messages; what it would replace is judged, whether it can be
  // written is tried, and it is claimed (claim_file) until the RunFiles ends. Throws Error{usage}
  // or Error{io}. An output that was named before may be named again for the same kind. "": none.
  void writes(const std::string& path, const std::string& option, FileKind kind);
  // From now on files of other kinds are replaced, too; inputs are not.
  void force() { force_ = true; }
  // What a user does to force ("give --force"), where there is something: messages then say so.
  void may_be_forced(const std::string& how) { how_to_force_ = how; }
  bool forced() const { return force_; }

 private:
  friend void note_input(const std::string& path);
  struct File {
    std::string path, real;  // as given; without links
    dev_t device = 0;
    ino_t inode = 0;  // 0: not there
    bool is(const File& other) const;
  };
  struct Input {
    File file;
    std::string what;  // "": opened by the library, and may_replace may speak of it
  };
  struct Output {
    File file;
    std::string option;
    FileKind kind;
    FileClaim claim;
  };
  static File identify(const std::string& path);
  void add(const Input& input);
  void check_pair(const Input& input, const Output& output) const;

  std::mutex mutex_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  std::vector<std::pair<File, FileKind>> replaceable_;
  bool force_ = false;
  std::string how_to_force_;
};

class RunFilesScope {
 public:
  explicit RunFilesScope(RunFiles& files);
  ~RunFilesScope();
  RunFilesScope(const RunFilesScope&) = delete;
  RunFilesScope& operator=(const RunFilesScope&) = delete;

 private:
  RunFiles* before_;
};

RunFiles* current_run_files();  // null outside every scope
// What opens a file to read it says so here.
void note_input(const std::string& path);

}  // namespace pare
