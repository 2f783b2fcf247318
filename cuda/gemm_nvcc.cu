// Matrix products by cuBLASLt, with bias and ReLU in its epilogue. The library is looked for when
// the first product runs, so that the plug-in loads where it is not installed; products are then
// our own (cuda/gemm.cu), as they are with PARE_CUBLAS=0 and where cuBLASLt knows no algorithm.
//
// cuBLASLt sees columns where we have rows: C^T = op(B)^T op(A)^T, and a bias per column of C is
// one per row there. An algorithm is asked for once a shape and alignment and kept: the same bits
// run to run on one kind of GPU, as long as there is memory for its workspace.
#include <cublasLt.h>
#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <tuple>

#include "cuda/gemm.h"
#include "cuda/runtime.h"

namespace pare::cuda {
namespace {

// The most that an algorithm may ask for besides.
constexpr size_t largest_workspace = size_t(32) << 20;

// The functions we call, by their own types.
struct Library {
  cublasLtHandle_t handle = nullptr;
  std::string absence;  // why there is no handle
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtMatmulDescCreate) describe = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) prefer = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find = nullptr;
  decltype(&cublasLtMatmul) multiply = nullptr;
  decltype(&cublasLtGetVersion) version = nullptr;

  Library() {
    const char* wanted = std::getenv("PARE_CUBLAS");
    if (wanted && std::string_view(wanted) == "0") {
      absence = "PARE_CUBLAS is 0";
      return;
    }
    void* library = ::dlopen("libcublasLt.so." PARE_CUBLAS_MAJOR, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      const char* why = ::dlerror();
      absence = std::string("no cuBLASLt: ") + (why ? why : "dlopen fails") +
                "; put the folder that has it on LD_LIBRARY_PATH (several times as fast)";
      return;
    }
    const auto get = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(::dlsym(library, name));
      return function != nullptr;
    };
    const bool whole = get(create, "cublasLtCreate") && get(describe, "cublasLtMatmulDescCreate") &&
                       get(set, "cublasLtMatmulDescSetAttribute") &&
                       get(layout, "cublasLtMatrixLayoutCreate") &&
                       get(prefer, "cublasLtMatmulPreferenceCreate") &&
                       get(set_preference, "cublasLtMatmulPreferenceSetAttribute") &&
                       get(destroy_preference, "cublasLtMatmulPreferenceDestroy") &&
                       get(find, "cublasLtMatmulAlgoGetHeuristic") &&
                       get(multiply, "cublasLtMatmul") && get(version, "cublasLtGetVersion");
    const cublasStatus_t status = whole ? create(&handle) : CUBLAS_STATUS_NOT_SUPPORTED;
    if (status == CUBLAS_STATUS_SUCCESS) return;
    handle = nullptr;
    absence = whole ? "cuBLASLt cannot be started: status " + std::to_string(int(status))
                    : "libcublasLt.so." PARE_CUBLAS_MAJOR " lacks a function";
  }
};
const Library& library() {
  static const auto* l = new Library;
  return *l;
}

// A product of one shape, ready to run.
struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;  // of C^T = A B
  cublasLtMatmulAlgo_t algorithm{};
  size_t workspace = 0;  // bytes
  bool known = false;
};
// m, n, k; transposed a and b; accumulate, ReLU; precision; alignment of the matrices and of the
// bias (0: none).
using Key =
    std::tuple<int64_t, int64_t, int64_t, bool, bool, bool, bool, Precision, unsigned, unsigned>;

cublasComputeType_t compute_type(Precision precision) {
  switch (precision) {
    case Precision::tf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::bf16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
    default:
      return CUBLAS_COMPUTE_32F;
  }
}
unsigned alignment_of(const void* p) {
  const auto low = unsigned(uintptr_t(p) & 255);
  return low ? low & -low : 256;
}

Plan make_plan(const Gemm<float>& g, unsigned alignment) {
  const Library& lt = library();
  Plan plan;
  bool ok = true;
  const auto done = [&](cublasStatus_t status) { ok = ok && status == CUBLAS_STATUS_SUCCESS; };
  done(lt.describe(&plan.product, compute_type(g.precision), CUDA_R_32F));
  if (!ok) return plan;
  // Our B, rows of n (or of k when transposed), is their A.
  const cublasOperation_t op_a = g.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                          op_b = g.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  done(lt.set(plan.product, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a));
  done(lt.set(plan.product, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b));
  const cublasLtEpilogue_t epilogue =
      g.bias   ? g.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS
      : g.relu ? CUBLASLT_EPILOGUE_RELU
               : CUBLASLT_EPILOGUE_DEFAULT;
  done(lt.set(plan.product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
  if (g.bias) done(lt.set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g.bias, sizeof g.bias));
  const auto layout = [&](cublasLtMatrixLayout_t& to, int64_t rows, int64_t columns) {
    done(lt.layout(&to, CUDA_R_32F, uint64_t(rows), uint64_t(columns), rows));
  };
  g.b_transposed ? layout(plan.a, g.k, g.n) : layout(plan.a, g.n, g.k);
  g.a_transposed ? layout(plan.b, g.m, g.k) : layout(plan.b, g.k, g.m);
  layout(plan.c, g.n, g.m);
  cublasLtMatmulPreference_t preference = nullptr;
  done(lt.prefer(&preference));
  if (!ok) return plan;
  done(lt.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &largest_workspace,
                         sizeof largest_workspace));
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    const uint32_t bytes = alignment;
    done(lt.set_preference(preference, attribute, &bytes, sizeof bytes));
  }
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  if (ok)
    done(lt.find(library().handle, plan.product, plan.a, plan.b, plan.c, plan.c, preference, 1,
                 &found, &count));
  lt.destroy_preference(preference);
  plan.known = ok && count == 1 && found.state == CUBLAS_STATUS_SUCCESS;
  plan.algorithm = found.algo;
  plan.workspace = found.workspaceSize;
  return plan;
}

// What a failed product means: throws where it is the device that failed, or where part of it may
// have run. Otherwise the library has no way to compute it.
void judge(cublasStatus_t status) {
  require(cudaGetLastError());
  cudaStreamCaptureStatus unused;  // tells errors of earlier work, also while it is recorded
  require(cudaStreamIsCapturing(stream(), &unused));
  if (status == CUBLAS_STATUS_EXECUTION_FAILED || status == CUBLAS_STATUS_INTERNAL_ERROR)
    throw Failure(Status::failed, "cuBLASLt reports status " + std::to_string(int(status)) +
                                      "; PARE_CUBLAS=0 takes pare's own products");
}

}  // namespace

std::string vendor_gemm_name() {
  const Library& lt = library();
  if (!lt.handle) return {};
  const size_t v = lt.version();  // 13.0.2 is 130002
  return "cuBLASLt " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
         std::to_string(v % 100);
}

std::string vendor_gemm_absence() { return library().absence; }

bool vendor_gemm(const Gemm<float>& g) {
  const Library& lt = library();
  if (!lt.handle || g.k == 0) return false;
  unsigned alignment = alignment_of(g.a);
  for (const void* p : {static_cast<const void*>(g.b), static_cast<const void*>(g.c)})
    alignment = std::min(alignment, alignment_of(p));
  static auto* plans = new std::map<Key, Plan>;
  const Key key{
      g.m,          g.n,    g.k,         g.a_transposed, g.b_transposed,
      g.accumulate, g.relu, g.precision, alignment,      g.bias ? alignment_of(g.bias) : 0};
  auto at = plans->find(key);
  if (at == plans->end()) at = plans->emplace(key, make_plan(g, alignment)).first;
  Plan& plan = at->second;
  if (!plan.known) return false;
  if (g.bias && lt.set(plan.product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g.bias, sizeof g.bias) !=
                    CUBLAS_STATUS_SUCCESS)
    return false;
  void* workspace = nullptr;
  try {
    if (plan.workspace) workspace = scratch_bytes(plan.workspace);
  } catch (const Failure& failure) {
    if (failure.status != Status::out_of_memory) throw;
    return false;  // our own products need less
  }
  const float one = 1, beta = g.accumulate ? 1 : 0;
  const cublasStatus_t status =
      lt.multiply(lt.handle, plan.product, &one, g.b, plan.a, g.a, plan.b, &beta, g.c, plan.c, g.c,
                  plan.c, &plan.algorithm, workspace, plan.workspace, stream());
  if (status == CUBLAS_STATUS_SUCCESS) return true;
  judge(status);
  plan.known = false;
  return false;
}

}  // namespace pare::cuda
