#include "core/cpu/backend_cpu.h"

#include <cstdlib>
#include <cstring>
#include <vector>

namespace pare::cpu {
namespace {

void* allocate(size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
void copy(void* to, const void* from, size_t bytes, int) { std::memcpy(to, from, bytes); }

}  // namespace

const Backend& backend() {
  static const KernelList lists[] = {
      format_kernels(),    pointwise_kernels(),  network_kernels(), masked_dense_kernels(),
      optimizer_kernels(), batch_norm_kernels(), dropout_kernels(), box_kernels(),
      pooling_kernels(),   broadcast_kernels()};
  static const std::vector<KernelRow> rows = [] {
    std::vector<KernelRow> all;
    for (const KernelList& list : lists) all.insert(all.end(), list.rows, list.rows + list.count);
    return all;
  }();
  static const Backend made{backend_abi, "cpu",       allocate,        std::free,
                            copy,        rows.data(), int(rows.size())};
  return made;
}

}  // namespace pare::cpu
