// Mutates JSON as JSON: bytes changed at random rarely leave a document that parses, and then the
// checks behind the parser are never reached. Half of the time the bytes are changed all the same.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using Json = nlohmann::ordered_json;

// Every value of the document, parents first.
void collect(Json& j, std::vector<Json*>& all) {
  all.push_back(&j);
  if (j.is_structured())
    for (auto& child : j) collect(child, all);
}

void mutate(Json& document, std::minstd_rand& random) {
  std::vector<Json*> all;
  collect(document, all);
  Json& at = *all[random() % all.size()];
  const Json other = *all[random() % all.size()];
  const Json words[] = {nullptr,   true, -1,    0,  1,   255,           1u << 31,      INT64_MAX,
                        INT64_MIN, 0.5,  1e300, "", "x", Json::array(), Json::object()};
  switch (random() % 5) {
    case 0:
      at = words[random() % std::size(words)];
      break;
    case 1:
      at = other;
      break;
    case 2:
      if (at.is_array())
        at.push_back(at.empty() || random() % 2 ? other : at[random() % at.size()]);
      else if (at.is_number_integer())
        at = at.get<int64_t>() ^ int64_t(1) << random() % 40;
      else
        at = words[random() % std::size(words)];
      break;
    case 3:
      if (at.is_structured() && !at.empty())
        at.erase(std::next(at.begin(), std::ptrdiff_t(random() % at.size())));
      break;
    default:
      if (at.is_object() && !at.empty())
        std::next(at.begin(), std::ptrdiff_t(random() % at.size())).value() = other;
      else
        at = other;
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  std::minstd_rand random(seed + 1);
  Json document = Json::parse(data, data + size, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded() || random() % 2) return LLVMFuzzerMutate(data, size, max_size);
  for (unsigned n = 1 + random() % 3; n > 0; --n) mutate(document, random);
  const std::string text =
      document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}
