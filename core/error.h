// Errors: one exception type, carrying the exit code of the command line, and `check`, which raises
// it.
//
// A message says where, what was found, what was expected and what to do about it. User mistakes
// throw `Error`; broken invariants assert. Nothing in the library calls exit.
#pragma once

#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace pare {

// What went wrong, as a class of remedy. The values are the exit codes of the `pare` tool.
enum class ErrorCode : int {
  usage = 1,         // an unknown name, option or combination: the caller's words are off
  bad_input = 2,     // a file or data that is missing, damaged or of the wrong kind
  diverged = 3,      // training left the finite numbers
  device = 4,        // a device that is absent or failed
  io = 5,            // reading, writing or memory failed
  interrupted = 130  // stopped by a signal, with the checkpoint saved
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

namespace detail {
// One argument of a message, already rendered: keeps fmt out of every user's translation unit.
struct MessageArg {
  MessageArg(const char* s) : text(s ? s : "(null)") {}
  MessageArg(std::string s) : text(std::move(s)) {}
  MessageArg(std::string_view s) : text(s) {}
  MessageArg(bool b) : text(b ? "true" : "false") {}
  MessageArg(char c) : text(1, c) {}
  MessageArg(double v);
  MessageArg(float v) : MessageArg(double(v)) {}
  MessageArg(long long v) : text(std::to_string(v)) {}
  MessageArg(unsigned long long v) : text(std::to_string(v)) {}
  MessageArg(int v) : text(std::to_string(v)) {}
  MessageArg(unsigned v) : text(std::to_string(v)) {}
  MessageArg(long v) : text(std::to_string(v)) {}
  MessageArg(unsigned long v) : text(std::to_string(v)) {}
  template <class T>
    requires requires(const T& t) {
      { to_string(t) } -> std::convertible_to<std::string>;
    }
  MessageArg(const T& v) : text(to_string(v)) {}
  std::string text;
};
std::string format_message(std::string_view pattern, const MessageArg* args, size_t count);
[[noreturn]] void raise(ErrorCode code, std::string message);
}  // namespace detail

// Text of `pattern` with each `{}` replaced by an argument in turn.
template <class... Args>
std::string message(std::string_view pattern, Args&&... args) {
  const detail::MessageArg list[] = {detail::MessageArg(std::forward<Args>(args))..., ""};
  return detail::format_message(pattern, list, sizeof...(Args));
}

// Throws Error. The text is prefixed with the scope of the running module, when there is one.
template <class... Args>
[[noreturn]] void fail(ErrorCode code, std::string_view pattern, Args&&... args) {
  detail::raise(code, message(pattern, std::forward<Args>(args)...));
}

// Throws Error{usage} unless `condition` holds; arguments are rendered only on failure.
template <class... Args>
inline void check(bool condition, std::string_view pattern, Args&&... args) {
  if (!condition) [[unlikely]]
    fail(ErrorCode::usage, pattern, std::forward<Args>(args)...);
}
template <class... Args>
inline void check(bool condition, ErrorCode code, std::string_view pattern, Args&&... args) {
  if (!condition) [[unlikely]]
    fail(code, pattern, std::forward<Args>(args)...);
}

// "did you mean": the names in `known` that are close to `name`, ready to append to a message
// (" (did you mean 'lenet5'?)"), or the whole list when it is short.
std::string suggest(std::string_view name, const std::string_view* known, size_t count);

// Set by autograd so that messages name the module at work; returns "" when no module runs.
using ScopeNamer = std::string (*)();
void set_scope_namer(ScopeNamer namer);

}  // namespace pare
