// The table of kernels: one list a file, joined by rows.cpp.
#pragma once

#include <vector>

#include "cuda/host.h"

namespace pare::cuda {

KernelList tensor_rows();
KernelList pointwise_rows();
KernelList broadcast_rows();
KernelList batch_rows();
KernelList optimizer_rows();
KernelList loss_rows();
KernelList dense_rows();
KernelList conv_rows();
KernelList softmax_rows();
KernelList reduce_rows();
KernelList box_rows();
KernelList dropout_rows();
KernelList quantize_rows();
KernelList int8_dense_rows();
KernelList pooling_rows();
KernelList batch_norm_rows();

// All of them, in one array.
const std::vector<KernelRow>& all_rows();

}  // namespace pare::cuda
