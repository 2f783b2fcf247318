#include "core/cpu/blas.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "core/cpu/isa.h"
#include "core/error.h"
#include "core/shared_library.h"

namespace pare::cpu {
namespace {

// cblas.h's values; the header is not needed to load the library.
constexpr int row_major = 101, no_transpose = 111, transpose = 112;
using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int,
                       float, float*, int);
using Dgemm = void (*)(int, int, int, int, int, int, double, const double*, int, const double*, int,
                       double, double*, int);

struct Blas {
  Sgemm sgemm = nullptr;
  Dgemm dgemm = nullptr;
  bool needs_lock = false;  // the serial flavour is not safe for several callers
  std::string description = "none: pare's own kernels";
  std::mutex mutex;
};

// Thrown as it is: the layer that happens to multiply first is not to blame.
template <class... Args>
void need(bool ok, std::string_view what, const Args&... args) {
  if (!ok) throw Error(ErrorCode::usage, message(what, args...));
}

void load(Blas& blas, const std::string& library) {
  // Never over the user's own choice.
  if (float_isa(current_isa()) == Isa::avx512)
    ::setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  else if (float_isa(current_isa()) == Isa::avx2)
    ::setenv("OPENBLAS_CORETYPE", "Haswell", 0);
  std::string why;
  void* handle = open_shared_library(library, why);
  need(handle != nullptr, "PARE_BLAS: {} cannot be loaded: {}; install libopenblas0 or unset it",
       library, why);
  const auto symbol = [&](const char* name) { return ::dlsym(handle, name); };
  blas.sgemm = reinterpret_cast<Sgemm>(symbol("cblas_sgemm"));
  blas.dgemm = reinterpret_cast<Dgemm>(symbol("cblas_dgemm"));
  const auto set_threads = reinterpret_cast<void (*)(int)>(symbol("openblas_set_num_threads"));
  const auto config = reinterpret_cast<char* (*)()>(symbol("openblas_get_config"));
  const auto core = reinterpret_cast<char* (*)()>(symbol("openblas_get_corename"));
  const auto parallel = reinterpret_cast<int (*)()>(symbol("openblas_get_parallel"));
  need(blas.sgemm && blas.dgemm && set_threads && config && core && parallel,
       "PARE_BLAS: {} is no OpenBLAS", library);
  set_threads(1);
  blas.needs_lock = parallel() == 0;
  blas.description = message("{}, core {}", config(), core());
}

Blas& blas() {
  static Blas* made = [] {
    auto* b = new Blas;
    const char* text = std::getenv("PARE_BLAS");
    const std::string wanted = text ? text : "";
    if (!wanted.empty() && wanted != "none")
      load(*b, wanted == "openblas" ? "libopenblas.so.0" : wanted);
    return b;
  }();
  return *made;
}

template <class T>
auto routine(const Blas& b) {
  if constexpr (sizeof(T) == sizeof(float))
    return b.sgemm;
  else
    return b.dgemm;
}

}  // namespace

std::string blas_description() { return blas().description; }

bool blas_in_use() { return blas().sgemm != nullptr; }

template <class T>
void blas_gemm(const GemmArgs<T>& g) {
  Blas& b = blas();
  std::unique_lock<std::mutex> lock;
  if (b.needs_lock) lock = std::unique_lock(b.mutex);
  routine<T>(b)(row_major, g.a_transposed ? transpose : no_transpose,
                g.b_transposed ? transpose : no_transpose, int(g.m), int(g.n), int(g.k), T(1), g.a,
                int(g.lda), g.b, int(g.ldb), g.accumulate ? T(1) : T(0), g.c, int(g.ldc));
}
template void blas_gemm<float>(const GemmArgs<float>&);
template void blas_gemm<double>(const GemmArgs<double>&);

}  // namespace pare::cpu
