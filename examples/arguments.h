// What the examples' command lines share: PROGRAM [DATA] [EPOCHS] [EXAMPLES].
#pragma once

#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "core/error.h"
#include "datasets/dataset.h"

namespace example {

struct Arguments {
  const char* data;
  int epochs;
  pare::Dataset load() const {
    pare::Dataset d = pare::load_dataset(data);
    for (pare::Examples* part : {&d.train, &d.test})
      if (examples > 0 && examples < part->size()) {
        std::vector<int64_t> first(static_cast<size_t>(examples));
        std::iota(first.begin(), first.end(), 0);
        *part = part->slice(first);
      }
    return d;
  }
  int64_t examples = 0;  // at most so many of each part; 0: all
};

// Calls run with the arguments or their defaults; an error is printed and gives its exit code.
inline int main(int argc, char** argv, Arguments a, void (*run)(const Arguments&)) try {
  if (argc > 1) a.data = argv[1];
  if (argc > 2) a.epochs = std::atoi(argv[2]);
  if (argc > 3) a.examples = std::atoll(argv[3]);
  run(a);
  return 0;
} catch (const pare::Error& e) {
  std::fprintf(stderr, "error: %s\n", e.what());
  return int(e.code());
}

}  // namespace example
