#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/text.h"

namespace pare {
namespace {
ScopeNamer scope_namer = nullptr;

// Levenshtein distance, for "did you mean".
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}
}  // namespace

void set_scope_namer(ScopeNamer namer) { scope_namer = namer; }

namespace detail {
MessageArg::MessageArg(double v) : text(fmt::format("{:.6g}", v)) {}

std::string format_message(std::string_view pattern, const MessageArg* args, size_t count) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern.substr(i, 2) == "{}" && next < count) {
      out += args[next++].text;
      ++i;
    } else {
      out += pattern[i];
    }
  }
  return out;
}

void raise(ErrorCode code, std::string text) {
  const std::string scope = scope_namer ? scope_namer() : std::string();
  throw Error(code, printable(scope.empty() ? text : scope + ": " + text));
}
}  // namespace detail

std::string suggest(std::string_view name, const std::string_view* known, size_t count) {
  std::vector<std::string_view> close;
  for (size_t i = 0; i < count; ++i)
    if (edit_distance(name, known[i]) <= std::max<size_t>(2, name.size() / 3))
      close.push_back(known[i]);
  const bool all = close.empty() && count <= 16;
  if (all) close.assign(known, known + count);
  if (close.empty()) return {};
  std::string out = all ? " (known: " : " (did you mean ";
  for (size_t i = 0; i < close.size(); ++i) {
    out += i ? ", '" : "'";
    out += close[i];
    out += '\'';
  }
  return out + (all ? ")" : "?)");
}

}  // namespace pare
