// Strict JSON for the library's own files (internal: it brings nlohmann's header with it). Depth
// and length are limited, and a key that stands twice is an error.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace pare {

using Json = nlohmann::ordered_json;

constexpr size_t max_json_bytes = size_t(4) << 20;
// Throws Error{bad_input} that names `what` where `text` is no JSON, nests deeper than 16, repeats
// a key or is longer than max_json_bytes.
Json parse_json(std::string_view text, std::string_view what);
// Text of `json`; bytes that are no UTF-8 (a file's name may hold any) become U+FFFD.
std::string to_text(const Json& json);
std::string valid_utf8(const std::string& text);  // likewise

}  // namespace pare
