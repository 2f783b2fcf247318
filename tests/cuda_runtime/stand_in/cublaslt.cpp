// Products as the manual of cuBLASLt describes them: columns of memory, op, ld, beta, epilogue, a
// bias by row. Sums of f32 in double; the types of a product are noted, not followed.
#include "cublasLt.h"

#include <vector>

#include "control.h"
#include "cublaslt_control.h"

struct cublasLtMatmulDesc {
  cublasComputeType_t compute;
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float* bias = nullptr;
};
struct cublasLtMatrixLayout {
  int64_t rows, columns, ld;
};
struct cublasLtMatmulPreference {
  size_t workspace = 0;
  uint32_t alignment = 256;
};

namespace stand_in {
Lt lt;
namespace {
template <class T>
void put(T& to, const void* from) {
  to = *static_cast<const T*>(from);
}
cublasStatus_t next() {
  const cublasStatus_t status = cublasStatus_t(lt.fails);
  lt.fails = 0;
  return status;
}
}  // namespace
}  // namespace stand_in

using namespace stand_in;

extern "C" {
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(&lt);
  return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() { return 130002; }
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* d, cublasComputeType_t compute,
                                        cudaDataType_t) {
  *d = new cublasLtMatmulDesc{.compute = compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      put(d->a, value);
      break;
    case CUBLASLT_MATMUL_DESC_TRANSB:
      put(d->b, value);
      break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      put(d->epilogue, value);
      break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      put(d->bias, value);
      break;
  }
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* l, cudaDataType_t, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
  if (ld < int64_t(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *l = new cublasLtMatrixLayout{int64_t(rows), int64_t(columns), ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* p) {
  *p = new cublasLtMatmulPreference;
  ++lt.preferences;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    put(p->workspace, value);
  else
    put(p->alignment, value);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  delete p;
  --lt.preferences;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t d,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t p, int,
                                              cublasLtMatmulHeuristicResult_t* result, int* count) {
  ++lt.searches;
  lt.compute = int(d->compute);
  *count = lt.knows ? 1 : 0;
  *result = {};
  result->algo.data[0] = p->alignment;
  result->workspaceSize = lt.workspace < p->workspace ? lt.workspace : p->workspace;
  result->algo.data[1] = result->workspaceSize;
  return lt.knows ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t d, const void* alpha,
                              const void* va, cublasLtMatrixLayout_t la, const void* vb,
                              cublasLtMatrixLayout_t lb, const void* beta, const void* vc,
                              cublasLtMatrixLayout_t lc, void* vd, cublasLtMatrixLayout_t ld,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace, size_t bytes,
                              cudaStream_t stream) {
  ++lt.products;
  if (const cublasStatus_t failure = next()) return failure;
  const int64_t m = d->a == CUBLAS_OP_N ? la->rows : la->columns,
                k = d->a == CUBLAS_OP_N ? la->columns : la->rows,
                n = d->b == CUBLAS_OP_N ? lb->columns : lb->rows,
                depth = d->b == CUBLAS_OP_N ? lb->rows : lb->columns;
  const auto fits = [](const void* p, cublasLtMatrixLayout_t l) {
    return on_device(p, size_t((l->columns - 1) * l->ld + l->rows) * sizeof(float));
  };
  const bool has_bias = d->epilogue & CUBLASLT_EPILOGUE_BIAS;
  if (depth != k || lc->rows != m || lc->columns != n || ld->rows != m || ld->columns != n ||
      !fits(va, la) || !fits(vb, lb) || !fits(vd, ld) ||
      (has_bias && !on_device(d->bias, size_t(m) * sizeof(float))) ||
      (bytes && !on_device(workspace, bytes)) || bytes != algorithm->data[1])
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const void* p : {va, vb, vc, static_cast<const void*>(vd)})
    if (uintptr_t(p) % algorithm->data[0]) return CUBLAS_STATUS_INVALID_VALUE;
  const float scale = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  const auto work = [=, desc = *d, la = *la, lb = *lb, lc = *lc, ld = *ld] {
    const auto *a = static_cast<const float*>(va), *b = static_cast<const float*>(vb),
               *c = static_cast<const float*>(vc);
    auto* out = static_cast<float*>(vd);
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t q = 0; q < k; ++q)
          sum += double(desc.a == CUBLAS_OP_N ? a[q * la.ld + i] : a[i * la.ld + q]) *
                 double(desc.b == CUBLAS_OP_N ? b[j * lb.ld + q] : b[q * lb.ld + j]);
        sum *= scale;
        if (keep != 0) sum += double(keep) * double(c[j * lc.ld + i]);
        if (has_bias) sum += double(desc.bias[i]);
        if (desc.epilogue & CUBLASLT_EPILOGUE_RELU && sum < 0) sum = 0;
        out[j * ld.ld + i] = float(sum);
      }
    if (bytes) static_cast<char*>(workspace)[bytes - 1] = 1;
  };
  return submit(stream, work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                             : CUBLAS_STATUS_EXECUTION_FAILED;
}
}
