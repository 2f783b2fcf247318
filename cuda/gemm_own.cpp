// Where there is no library for matrix products: the emulation, and toolkits without cuBLASLt.
#include "cuda/gemm.h"
#include "cuda/runtime.h"

namespace pare::cuda {

bool vendor_gemm(const Gemm<float>&) { return false; }
std::string vendor_gemm_name() { return {}; }
std::string vendor_gemm_absence() { return "this plug-in is built without cuBLASLt"; }

}  // namespace pare::cuda
