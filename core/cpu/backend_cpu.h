// The CPU's table of kernels: rows come from each file of op kernels under core/cpu/.
#pragma once

#include <span>
#include <string_view>

#include "core/backend.h"

namespace pare::cpu {

const Backend& backend();
// Names of the kernels that are meant for the CPU alone: those that leave zeros out where a mask is
// frozen; devices compute with them.
std::span<const std::string_view> own_kernels();

// One list of rows per file of kernels; backend_cpu.cpp joins them.
struct KernelList {
  const KernelRow* rows;
  int count;
};
KernelList tensor_kernels();
KernelList pointwise_kernels();
KernelList network_kernels();
KernelList masked_dense_kernels();
KernelList loss_kernels();
KernelList batch_norm_kernels();
KernelList dropout_kernels();
KernelList optimizer_kernels();
KernelList box_kernels();
KernelList broadcast_kernels();
KernelList pooling_kernels();

}  // namespace pare::cpu
