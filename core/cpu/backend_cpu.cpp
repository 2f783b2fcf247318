#include "core/cpu/backend_cpu.h"

#include <cstdlib>
#include <cstring>
#include <vector>

namespace pare::cpu {
namespace {

Status allocate(size_t bytes, void** block, char*) {
  *block = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  return *block ? Status::ok : Status::out_of_memory;
}
Status copy(void* to, const void* from, size_t bytes, Direction, char*) {
  std::memcpy(to, from, bytes);
  return Status::ok;
}

}  // namespace

const Backend& backend() {
  static const KernelList lists[] = {
      tensor_kernels(),    pointwise_kernels(),  network_kernels(), masked_dense_kernels(),
      optimizer_kernels(), batch_norm_kernels(), dropout_kernels(), box_kernels(),
      pooling_kernels(),   broadcast_kernels(),  loss_kernels()};
  static const std::vector<KernelRow> rows = [] {
    std::vector<KernelRow> all;
    for (const KernelList& list : lists) all.insert(all.end(), list.rows, list.rows + list.count);
    return all;
  }();
  static const Backend made = [] {
    Backend b;
    b.name = "cpu";
    b.allocate = allocate;
    b.free = std::free;
    b.copy = copy;
    b.rows = rows.data();
    b.row_count = int(rows.size());
    return b;
  }();
  return made;
}

std::span<const std::string_view> own_kernels() {
  static constexpr std::string_view names[] = {"masked_dense.forward", "masked_dense.backward",
                                               "sgd.step_kept", "adam.step_kept"};
  return names;
}

}  // namespace pare::cpu
