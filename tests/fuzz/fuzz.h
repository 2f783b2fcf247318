// A fuzz target: whatever the bytes, a reader returns or throws Error{bad_input}; nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "core/error.h"

namespace pare {

template <class F>
int fuzz_reader(const uint8_t* data, size_t size, F&& read) {
  try {
    read(std::span<const uint8_t>(data, size));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::bad_input) return 0;
    std::fprintf(stderr, "not a bad_input error: %s\n", e.what());
    std::abort();
  }
  return 0;
}

}  // namespace pare
