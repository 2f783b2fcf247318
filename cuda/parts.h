// Many tensors in one launch: their pointers travel as an argument of the kernel, and every block
// finds the stretch that is its own. At most `most` tensors a launch, so that the arguments stay
// below the 4 KB that every GPU takes.
#pragma once

#include <vector>

#include "cuda/device.h"
#include "cuda/host.h"

namespace pare::cuda {

constexpr int vector_width = 4;
constexpr int64_t stretch = threads_per_block * vector_width * 4;  // elements of one block

// N tensors of equal size a part, and a mask (or null).
template <class T, int N>
struct Parts {
  static constexpr int most = 64;
  T* at[most][N];
  const uint8_t* mask[most];
  int64_t count[most];
  int32_t first_block[most + 1];
  int32_t label[most];   // what the caller wants to know a part by
  uint64_t aligned = 0;  // bit i: vectors may be loaded from part i
  int parts = 0;

  int64_t blocks() const { return parts ? first_block[parts] : 0; }
  void add(T* const (&tensors)[N], const uint8_t* keep, int64_t elements, int name) {
    first_block[0] = 0;
    bool ok = uintptr_t(keep) % vector_width == 0;
    for (int k = 0; k < N; ++k) {
      at[parts][k] = tensors[k];
      ok = ok && uintptr_t(tensors[k]) % (sizeof(T) * vector_width) == 0;
    }
    mask[parts] = keep;
    count[parts] = elements;
    label[parts] = name;
    aligned |= uint64_t(ok) << parts;
    first_block[parts + 1] = int32_t(first_block[parts] + ceil_div(elements, stretch));
    ++parts;
  }
};

// The part of the running block.
template <class T, int N>
PARE_DEVICE inline int own_part(const Parts<T, N>& p) {
  int low = 0, high = p.parts;  // first_block[low] <= block < first_block[high]
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (p.first_block[middle] <= block_x() ? low : high) = middle;
  }
  return low;
}
// Calls step(i, n) for the running block's elements of part `i`: those from i on, n of them known
// when compiled.
template <class T, int N, class F>
PARE_DEVICE inline void over_part(const Parts<T, N>& p, int part, F&& step) {
  const int64_t first = (block_x() - p.first_block[part]) * stretch, left = p.count[part] - first,
                n = left < stretch ? left : stretch;
  const int64_t whole = p.aligned >> part & 1 ? n / vector_width * vector_width : 0;
  for (int64_t i = int64_t(thread_x()) * vector_width; i < whole;
       i += int64_t(block_width()) * vector_width)
    step(first + i, std::integral_constant<int, vector_width>{});
  for (int64_t i = whole + thread_x(); i < n; i += block_width())
    step(first + i, std::integral_constant<int, 1>{});
}

// Calls run(Parts) for the tensors, as many parts a launch as fit: add(parts, i) adds part i.
template <class T, int N, class Add, class Run>
void in_launches(int count, Add&& add, Run&& run) {
  for (int i = 0; i < count;) {
    Parts<T, N> parts;
    for (; i < count && parts.parts < Parts<T, N>::most; ++i) add(parts, i);
    run(parts);
  }
}

}  // namespace pare::cuda
