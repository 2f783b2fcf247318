#include "core/attrs.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_set>

namespace pare {

const char* intern(std::string_view name) {
  static auto* names = new std::unordered_set<std::string>;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  return names->emplace(name).first->c_str();
}

Ints::Ints(std::initializer_list<int64_t> list) : Ints(list.begin(), int(list.size())) {}

Ints::Ints(const int64_t* data, int n) {
  check(n <= capacity, "attribute list of {} numbers, at most {} fit", n, capacity);
  std::copy_n(data, n, values);
  count = uint8_t(n);
}

bool Attrs::Entry::operator==(const Entry& o) const {
  return std::strcmp(name, o.name) == 0 && kind == o.kind && integer == o.integer &&
         std::memcmp(&real, &o.real, sizeof real) == 0 && ints == o.ints;
}

Attrs& Attrs::operator=(const Attrs& other) {
  std::copy_n(other.entries_, other.count_, entries_);
  count_ = other.count_;
  return *this;
}

const Attrs::Entry* Attrs::find(const char* name) const {
  for (const Entry& e : *this)
    if (e.name == name || std::strcmp(e.name, name) == 0) return &e;
  return nullptr;
}

Attrs::Entry& Attrs::add(const char* name, Kind kind) {
  Entry* e = const_cast<Entry*>(find(name));
  if (!e) {
    check(count_ < capacity, "more than {} attributes on one node", capacity);
    e = &entries_[count_++];
  }
  *e = Entry{};
  e->name = name;
  e->kind = kind;
  return *e;
}

Attrs& Attrs::set(const char* name, int64_t value) {
  add(name, Kind::integer).integer = value;
  return *this;
}
Attrs& Attrs::set(const char* name, double value) {
  add(name, Kind::real).real = value;
  return *this;
}
Attrs& Attrs::set(const char* name, const Ints& value) {
  add(name, Kind::ints).ints = value;
  return *this;
}

int64_t Attrs::integer(const char* name) const {
  const Entry* e = find(name);
  check(e && e->kind == Kind::integer, "attribute '{}' is missing or no integer", name);
  return e->integer;
}
double Attrs::real(const char* name) const {
  const Entry* e = find(name);
  check(e && e->kind == Kind::real, "attribute '{}' is missing or no real number", name);
  return e->real;
}
const Ints& Attrs::ints(const char* name) const {
  const Entry* e = find(name);
  check(e && e->kind == Kind::ints, "attribute '{}' is missing or no list of integers", name);
  return e->ints;
}
int64_t Attrs::integer(const char* name, int64_t otherwise) const {
  return has(name) ? integer(name) : otherwise;
}
double Attrs::real(const char* name, double otherwise) const {
  return has(name) ? real(name) : otherwise;
}

bool Attrs::operator==(const Attrs& other) const {
  return count_ == other.count_ && std::equal(begin(), end(), other.begin());
}

}  // namespace pare
