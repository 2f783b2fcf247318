// The plug-in's entry: the backend's table, the same for the GPU and for its emulation.
#include "cuda/gemm.h"
#include "cuda/rows.h"
#include "cuda/runtime.h"

namespace pare::cuda {
namespace {
DeviceProperties found;
}
const DeviceProperties& properties() { return found; }
}  // namespace pare::cuda

extern "C" __attribute__((visibility("default"))) const pare::Backend* pare_backend(char* why) {
  using namespace pare;
  static Backend backend;
  if (!cuda::start_device(cuda::found, why)) return nullptr;
  std::snprintf(cuda::found.products, sizeof cuda::found.products, "%s",
                cuda::vendor_gemm_name().c_str());
  cuda::describe_backend(backend);
  backend.properties = cuda::found;
  backend.rows = cuda::all_rows().data();
  backend.row_count = int(cuda::all_rows().size());
  return &backend;
}

// Facts that change, or that no program decides by: told whenever somebody asks.
extern "C" __attribute__((visibility("default"))) void pare_device_facts(pare::cuda::Tell tell,
                                                                         void* to) {
  using namespace pare::cuda;
  tell_facts(tell, to);
  const std::string absence = vendor_gemm_absence(), name = vendor_gemm_name();
  tell(to, "matrix products", absence.empty() ? name.c_str() : ("pare's own: " + absence).c_str());
}
