// How a step's work is cut: into parts worth a thread, along the output rows of all images.
#pragma once

#include <algorithm>
#include <cstdint>

#include "compress/plan/step.h"
#include "core/thread_pool.h"

namespace pare::plan {

inline int64_t parts_for(int64_t macs, int64_t most) {
  constexpr int64_t worth_a_part = 60000;
  return parts_for(macs, most, worth_a_part);
}

// Whether threads share each step of a batch; of larger ones each thread carries images of its own
// through all steps.
inline bool shares_steps(int64_t batch) {
  const int64_t workers = threads();
  return workers > 1 && batch < 2 * workers;
}

// f(image, first row, last row) for each run of rows of one image in part `part` of `parts`.
template <class F>
void for_rows(int64_t rows, int64_t rows_of_image, int64_t part, int64_t parts, F f) {
  int64_t row = rows * part / parts;
  const int64_t end = rows * (part + 1) / parts;
  while (row < end) {
    const int64_t image = row / rows_of_image, first = row % rows_of_image;
    const int64_t last = std::min(rows_of_image, first + end - row);
    f(image, first, last);
    row += last - first;
  }
}

}  // namespace pare::plan
