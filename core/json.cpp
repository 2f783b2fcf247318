#include "core/json.h"

#include <set>
#include <vector>

#include "core/error.h"

namespace pare {

Json parse_json(std::string_view text, std::string_view what) {
  check(text.size() <= max_json_bytes, ErrorCode::bad_input, "{}: {} bytes of JSON, at most {}",
        what, text.size(), max_json_bytes);
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    check(depth < 16, ErrorCode::bad_input, "{}: JSON nested deeper than 16", what);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      check(keys.back().insert(key).second, ErrorCode::bad_input, "{}: the key '{}' stands twice",
            what, key);
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::bad_input, "{}: not valid JSON: {}", what, e.what());
  }
}

std::string valid_utf8(const std::string& text) {
  return Json::parse(to_text(text)).get<std::string>();
}

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pare
