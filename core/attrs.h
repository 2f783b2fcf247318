// Attributes of a node: a small closed set of value kinds under short names, held inline so that
// recording an op allocates nothing, and plain enough to cross a backend's boundary and be saved.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "core/error.h"

namespace pare {

// The one copy of `name` that lives for the whole program; equal names give equal pointers.
const char* intern(std::string_view name);

struct Ints {
  static constexpr int capacity = 8;
  int64_t values[capacity] = {};
  uint8_t count = 0;
  // Bit i: values[i] is a multiple of the batch: the element is values[i] * batch.
  uint8_t symbolic = 0;

  Ints() = default;
  Ints(std::initializer_list<int64_t> list);
  Ints(const int64_t* data, int n);
  int64_t operator[](int i) const { return values[i]; }
  int size() const { return count; }
  bool operator==(const Ints&) const = default;
};

class Attrs {
 public:
  enum class Kind : uint8_t { integer, real, ints };
  struct Entry {
    const char* name = nullptr;  // static or interned
    Kind kind = Kind::integer;
    int64_t integer = 0;
    double real = 0;
    Ints ints;
    bool operator==(const Entry& other) const;
  };
  static constexpr int capacity = 8;

  Attrs() = default;
  Attrs& set(const char* name, int64_t value);
  Attrs& set(const char* name, int value) { return set(name, int64_t(value)); }
  Attrs& set(const char* name, bool value) { return set(name, int64_t(value)); }
  Attrs& set(const char* name, double value);
  Attrs& set(const char* name, const Ints& value);

  // The value under `name`; the first form throws when absent, the others give `otherwise`.
  int64_t integer(const char* name) const;
  double real(const char* name) const;
  const Ints& ints(const char* name) const;
  int64_t integer(const char* name, int64_t otherwise) const;
  double real(const char* name, double otherwise) const;
  bool has(const char* name) const { return find(name) != nullptr; }

  int size() const { return count_; }
  const Entry* begin() const { return entries_; }
  const Entry* end() const { return entries_ + count_; }
  Entry* begin() { return entries_; }
  Entry* end() { return entries_ + count_; }
  bool operator==(const Attrs& other) const;

  Attrs(const Attrs& other) { *this = other; }
  Attrs& operator=(const Attrs& other);

 private:
  const Entry* find(const char* name) const;
  Entry& add(const char* name, Kind kind);
  Entry entries_[capacity];
  int count_ = 0;
};

}  // namespace pare
