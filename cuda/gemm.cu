#include "cuda/gemm.h"

#include "cuda/product.h"

namespace pare::cuda {
namespace {

template <bool a_across, bool b_across, int width, class T>
void run(const Gemm<T>& g) {
  const int m = extent(g.m), n = extent(g.n), k = extent(g.k);
  Result<T> result;
  result.c = g.c, result.m = m, result.n = n, result.pixel_step = n;
  result.bias = g.bias, result.relu = g.relu, result.accumulate = g.accumulate;
  product<Form::any>(Matrix<T, a_across, width>{g.a, a_across ? m : k, m, k},
                     Matrix<T, b_across, width>{g.b, b_across ? n : k, n, k}, result, k, 1,
                     g.precision);
}
template <bool a_across, bool b_across, class T>
void run(const Gemm<T>& g) {
  if constexpr (std::is_same_v<T, float>)
    if (vectors_at(g.a, a_across ? g.m : g.k, 0) && vectors_at(g.b, b_across ? g.n : g.k, 0))
      return run<a_across, b_across, 4>(g);
  run<a_across, b_across, 1>(g);
}

}  // namespace

template <class T>
void gemm(const Gemm<T>& g) {
  if (g.m == 0 || g.n == 0) return;
  if constexpr (std::is_same_v<T, float>)
    if (vendor_gemm(g)) return;
  if (g.a_transposed)
    g.b_transposed ? run<true, false>(g) : run<true, true>(g);
  else
    g.b_transposed ? run<false, false>(g) : run<false, true>(g);
}
template void gemm<float>(const Gemm<float>&);
template void gemm<double>(const Gemm<double>&);

}  // namespace pare::cuda
