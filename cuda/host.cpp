#include "cuda/host.h"

#include <algorithm>

namespace pare::cuda {
namespace {
const KernelArgs* running = nullptr;
}

RowScope::RowScope(const KernelArgs& args) { running = &args; }
RowScope::~RowScope() { running = nullptr; }

void* scratch_bytes(size_t bytes) {
  if (!running) throw Failure(Status::failed, "scratch memory is for kernels that a row launches");
  void* block = nullptr;
  char text[error_length] = "";
  const Status status =
      running->scratch(running->scratch_of, std::max<size_t>(bytes, 1), &block, text);
  if (status != Status::ok) throw Failure(status, text);
  return block;
}

}  // namespace pare::cuda
