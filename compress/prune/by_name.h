// Criteria by name, for weights and for channels alike: what --method knows.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace pare {

template <class Base>
struct ByName {
  std::string_view name;
  std::unique_ptr<Base> (*make)(uint64_t seed);
};

// A C of these arguments, which draws nothing; one that draws by the seed.
template <class Base, class C, auto... args>
std::unique_ptr<Base> make_plain(uint64_t) {
  return std::make_unique<C>(args...);
}
template <class Base, class C>
std::unique_ptr<Base> make_seeded(uint64_t seed) {
  return std::make_unique<C>(seed);
}

template <class Base, size_t n>
std::vector<std::string_view> names_of(const ByName<Base> (&known)[n]) {
  std::vector<std::string_view> names;
  for (const ByName<Base>& k : known) names.push_back(k.name);
  return names;
}

// The one of that name. An unknown one is "'NAME' is no WHAT", with close names, Error{usage}.
template <class Base, size_t n>
std::unique_ptr<Base> make_by_name(const ByName<Base> (&known)[n], const std::string& name,
                                   uint64_t seed, std::string_view what) {
  for (const ByName<Base>& k : known)
    if (k.name == name) return k.make(seed);
  const auto names = names_of(known);
  fail(ErrorCode::usage, "'{}' is no {}{}", name, what, suggest(name, names.data(), n));
}

}  // namespace pare
