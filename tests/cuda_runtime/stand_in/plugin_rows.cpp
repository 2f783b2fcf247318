// The kernels of the stand-in's plug-in: a product by the maker's library, and a launch.
#include "control.h"
#include "cuda/gemm.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

PARE_KERNEL void add_one_kernel(float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += 1;
}

Status add_one(const KernelArgs& args) {
  const TensorArg& x = args.outputs[0];
  launch(add_one_kernel, 1, 32, 0, stream(), x.as<float>(), x.elements);
  return Status::ok;
}

Status product(const KernelArgs& args) {
  const auto on = [&](const char* name) { return args.attrs->integer(name, 0) != 0; };
  Gemm<float> g;
  g.m = args.attrs->integer("m"), g.n = args.attrs->integer("n"), g.k = args.attrs->integer("k");
  g.a = args.inputs[0].as<float>(), g.b = args.inputs[1].as<float>();
  g.a_transposed = on("ta"), g.b_transposed = on("tb");
  if (args.input_count == 3) g.bias = args.inputs[2].as<float>();
  g.c = args.outputs[0].as<float>();
  g.accumulate = on("accumulate"), g.relu = on("relu");
  g.precision = args.precision;
  if (!vendor_gemm(g)) throw Failure(Status::failed, "left to pare's own products");
  return Status::ok;
}

}  // namespace

const std::vector<KernelRow>& all_rows() {
  static const std::vector<KernelRow> rows = [] {
    stand_in::define(reinterpret_cast<const void*>(add_one_kernel), [](void** arguments) {
      float* x = *static_cast<float**>(arguments[0]);
      const int64_t n = *static_cast<int64_t*>(arguments[1]);
      return [=] { add_one_kernel(x, n); };
    });
    return std::vector<KernelRow>{{"stand_in.add_one", 1, guarded<add_one>},
                                  {"stand_in.product", 1, guarded<product>}};
  }();
  return rows;
}

}  // namespace pare::cuda
