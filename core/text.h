// Text on its way to people. Names come from files and may hold anything.
#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace pare {

// `text` as a terminal may be given it: characters that move the cursor, change colours or turn
// the direction of reading are written as \u001b, bytes that are no UTF-8 become U+FFFD. Newlines
// and tabs stay. JSON stays the same JSON.
std::string printable(std::string_view text);

// The number that all of `text` is, in decimal; none where it is another text, not finite, or
// beyond T.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  if constexpr (std::is_floating_point_v<T>)
    if (!std::isfinite(number)) return {};
  return number;
}

}  // namespace pare
