#include "core/run_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "core/container.h"
#include "core/error.h"
#include "core/file_io.h"

namespace pare {
namespace {

std::atomic<RunFiles*> current{nullptr};

struct KindFacts {
  const char* name;
  std::string_view begin;  // of such a file; "": it is a container with the key
  const char* key;
};
constexpr KindFacts facts_of[] = {{"model of pare", "", "graph"},
                                  {"checkpoint of a training", "", "checkpoint"},
                                  {"log of a training", "epoch,loss,accuracy,", nullptr},
                                  {"SVG picture", "<svg", nullptr},
                                  {"graph of Graphviz", "digraph", nullptr},
                                  {"PNG picture", "\x89PNG", nullptr}};

std::string named(const std::string& option) { return option.empty() ? "the output" : option; }

bool holds(const std::string& path, FileKind kind) {
  const KindFacts& facts = facts_of[size_t(kind)];
  auto file = peek_file(path);
  if (file->size() == 0) return true;
  if (!facts.begin.empty()) {
    std::array<uint8_t, 32> head{};
    const size_t n = facts.begin.size();
    if (file->size() < n) return false;
    file->read(0, {head.data(), n});
    return std::equal(facts.begin.begin(), facts.begin.end(), head.begin(),
                      [](char a, uint8_t b) { return uint8_t(a) == b; });
  }
  try {
    const Container container(std::move(file));
    return container.has_metadata(facts.key) &&
           (kind == FileKind::checkpoint || !container.has_metadata("checkpoint"));
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

bool RunFiles::File::is(const File& other) const {
  if (inode != 0 && inode == other.inode && device == other.device) return true;
  return real == other.real;
}

RunFiles::File RunFiles::identify(const std::string& path) {
  File file{path, real_path(path)};
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    file.device = info.st_dev;
    file.inode = info.st_ino;
  }
  return file;
}

void RunFiles::check_pair(const Input& input, const Output& output) const {
  if (!input.file.is(output.file)) return;
  const bool replaceable =
      input.what.empty() &&
      std::any_of(replaceable_.begin(), replaceable_.end(), [&](const auto& pair) {
        return pair.second == output.kind && pair.first.is(output.file);
      });
  check(replaceable, "{} would overwrite {}{}, which this run reads; name another file",
        named(output.option), input.what.empty() ? "" : input.what + " ", input.file.path);
}

void RunFiles::add(const Input& input) {
  const std::lock_guard guard(mutex_);
  for (const Output& output : outputs_) {
    // What this run wrote there meanwhile is no input, and the number of the old file may be
    // reused.
    const bool as_it_was =
        output.file.inode != 0 && identify(output.file.path).inode == output.file.inode;
    if (!input.what.empty() || as_it_was) check_pair(input, output);
  }
  inputs_.push_back(input);
}

void RunFiles::reads(const std::string& path, const std::string& what) {
  if (!path.empty()) add({identify(path), what});
}

void RunFiles::may_replace(const std::string& path, FileKind kind) {
  const std::lock_guard guard(mutex_);
  replaceable_.emplace_back(identify(path), kind);
}

void RunFiles::writes(const std::string& path, const std::string& option, FileKind kind) {
  if (path.empty()) return;
  Output output{identify(path), option, kind, nullptr};
  const std::lock_guard guard(mutex_);
  const auto clash = [&](const Output& other) {
    fail(ErrorCode::usage, "{} and {} are the same file, {}; name two", named(option),
         named(other.option), path);
  };
  for (const Output& other : outputs_)
    if (other.file.real == output.file.real) {
      const bool same = option.empty() || other.option.empty() || option == other.option;
      if (other.kind != kind || !same) clash(other);
      return;
    }
  for (const Output& other : outputs_)
    if (other.file.is(output.file)) clash(other);
  for (const Input& input : inputs_) check_pair(input, output);
  check_writable(path);
  if (output.file.inode != 0 && !force_)
    check(holds(path, kind), "{}: {} would replace it, and it is no {}; name another file{}", path,
          named(option), facts_of[size_t(kind)].name,
          how_to_force_.empty() ? "" : ", or " + how_to_force_);
  output.claim = claim_file(path);
  outputs_.push_back(std::move(output));
}

RunFilesScope::RunFilesScope(RunFiles& files) : before_(current.exchange(&files)) {}
RunFilesScope::~RunFilesScope() { current = before_; }

RunFiles* current_run_files() { return current; }

void note_input(const std::string& path) {
  if (RunFiles* files = current) files->add({RunFiles::identify(path), ""});
}

}  // namespace pare
