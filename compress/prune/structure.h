// The shapes in which weights are removed, matched to what kernels can skip.
//
// A weight [out, in, ...] is seen as a matrix of out rows and in * ... columns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/shape.h"

namespace pare {

struct PruneStructure {
  int rows = 1, columns = 1;  // blocks that are kept or removed whole; smaller at the edges
  int keep = 0, of = 0;       // N:M: of every M columns in a row the N best stay; 0: not so

  bool is_n_of_m() const { return of > 0; }
  // "unstructured", "4x1" (rows x columns), "2:4".
  std::string name() const;
};
// Throws Error{usage} for what is none: RxC with 1..64 each, N:M with 0 < N < M <= 32.
PruneStructure parse_structure(const std::string& text);

// The indices of the elements of each block, in C order.
std::vector<std::vector<int64_t>> blocks_of(const Shape& weight, const PruneStructure& structure);

}  // namespace pare
