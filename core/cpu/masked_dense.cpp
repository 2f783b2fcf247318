// Kernel rows of a dense layer with a frozen mask, for training steps: the products of the kept
// weights alone (sparse.h), blocks of 64 images in the lanes.
//   y = act(x w^T + b), dx = g w, dw[o][k] = sum over images n of g[n][o] x[n][k] where kept
// Inputs x, w, b and the mask's pattern (core/sparse_pattern.h). dw holds zeros where the mask
// drops, before and after. Every sum has one order, whatever the threads.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/scratch.h"
#include "core/cpu/unmask.h"
#include "core/sparse_pattern.h"
#include "core/thread_pool.h"

namespace pare::cpu {
namespace {

constexpr int64_t lanes = 64;
constexpr int64_t rows_a_tile = 32;

// f(first, last) over tiles of n rows.
template <class F>
void over_rows(int64_t n, F f) {
  parallel_for((n + rows_a_tile - 1) / rows_a_tile,
               [&](int64_t t) { f(t * rows_a_tile, std::min(n, (t + 1) * rows_a_tile)); });
}

// to[j][i] = from[i][j] for `count` <= 64 rows of `columns`; lanes behind the rows are zero.
void to_lanes(const float* from, int64_t count, int64_t columns, float* to) {
  over_rows(columns, [&](int64_t first, int64_t last) {
    if (count < lanes)
      std::memset(to + first * lanes, 0, size_t((last - first) * lanes) * sizeof(float));
    kernels().sparse.to_lanes(from + first, count, last - first, columns, to + first * lanes,
                              lanes);
  });
}

// An offset and a value.
using Kept = std::byte[8];
// The kept weights of a matrix, by rows or by columns, packed for the product.
struct Packed {
  SparseProduct product;
  int32_t* offsets;
  float* values;

  Packed(const SparsePattern& p, const float* w, bool by_columns, Kept* memory)
      : offsets(reinterpret_cast<int32_t*>(memory)),
        values(reinterpret_cast<float*>(offsets + p.kept)) {
    const int32_t* starts = by_columns ? p.column_starts : p.row_starts;
    const int32_t* others = by_columns ? p.column_rows : p.row_columns;
    const int64_t rows = by_columns ? p.columns : p.rows;
    const int64_t step = by_columns ? 1 : p.columns, other_step = by_columns ? p.columns : 1;
    over_rows(rows, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r)
        for (int32_t i = starts[r]; i < starts[r + 1]; ++i) {
          offsets[i] = others[i] * int32_t(lanes);
          values[i] = w[r * step + others[i] * other_step];
        }
    });
    product.outputs = rows;
    product.starts = starts;
    product.offsets = offsets;
    product.values = values;
    product.y_step = lanes;
  }

  // Outputs [first, last) of `count` lanes; y[output][lane].
  void run(int64_t first, int64_t last, const float* x, int64_t count, const float* bias, bool relu,
           float* y) const {
    SparseProduct p = product;
    p.outputs = last - first;
    p.starts += first;
    p.bias = bias ? bias + first : nullptr;
    p.relu = relu;
    p.x = x;
    p.positions = count;
    p.y = y + first * lanes;
    kernels().sparse.product(p);
  }
};

Status masked_dense_forward(const KernelArgs& args) {
  const SparsePattern p = read_pattern(args.inputs[3].as<int32_t>());
  const float *x = args.inputs[0].as<float>(), *bias = args.inputs[2].as<float>();
  float* y = args.outputs[0].as<float>();
  const bool relu = args.attrs->integer("relu");
  Scratch scratch;
  const Packed packed(p, args.inputs[1].as<float>(), false, scratch.take<Kept>(size_t(p.kept)));
  float* columns = scratch.take<float>(size_t((p.columns + p.rows) * lanes));
  float* outputs = columns + p.columns * lanes;
  for (int64_t n = args.inputs[0].dims[0], i = 0; i < n; i += lanes) {
    const int64_t count = std::min(lanes, n - i);
    to_lanes(x + i * p.columns, count, p.columns, columns);
    over_rows(p.rows, [&](int64_t first, int64_t last) {
      packed.run(first, last, columns, count, bias, relu, outputs);
      kernels().sparse.from_lanes(outputs + first * lanes, last - first, count, lanes,
                                  y + i * p.rows + first, p.rows);
    });
  }
  return Status::ok;
}

// dx = g w by the columns of the pattern.
void input_gradient(const SparsePattern& p, const float* w, const float* g, int64_t n, float* dx,
                    bool accumulate) {
  Scratch scratch;
  const Packed packed(p, w, true, scratch.take<Kept>(size_t(p.kept)));
  float* rows = scratch.take<float>(size_t((p.columns + p.rows) * lanes));
  float* outputs = rows + p.rows * lanes;
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t count = std::min(lanes, n - i);
    to_lanes(g + i * p.rows, count, p.rows, rows);
    over_rows(p.columns, [&](int64_t first, int64_t last) {
      packed.run(first, last, rows, count, nullptr, false, outputs);
      float* to = dx + i * p.columns + first;
      if (!accumulate)
        return kernels().sparse.from_lanes(outputs + first * lanes, last - first, count, lanes, to,
                                           p.columns);
      for (int64_t a = 0; a < count; ++a)
        for (int64_t k = first; k < last; ++k)
          to[a * p.columns + k - first] += outputs[k * lanes + a];
    });
  }
}

void weight_gradient(const SparsePattern& p, const float* x, const float* g, int64_t n, float* dw,
                     bool accumulate) {
  Scratch scratch;
  float* sums = scratch.take<float>(size_t(p.kept));
  float* columns = scratch.take<float>(size_t((p.columns + p.rows) * lanes));
  float* rows = columns + p.columns * lanes;
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t count = std::min(lanes, n - i);
    to_lanes(x + i * p.columns, count, p.columns, columns);
    to_lanes(g + i * p.rows, count, p.rows, rows);
    // By columns: the rows of g are fewer than those of x in most layers, and stay in the cache.
    const bool last_block = i + lanes >= n;
    over_rows(p.columns, [&](int64_t first, int64_t last) {
      kernels().sparse.sampled({.first = first,
                                .last = last,
                                .starts = p.column_starts,
                                .columns = p.column_rows,
                                .g = columns,
                                .x = rows,
                                .out = sums,
                                .add = i > 0});
      if (!last_block) return;
      for (int64_t c = first; c < last; ++c)
        for (int32_t k = p.column_starts[c]; k < p.column_starts[c + 1]; ++k) {
          float& to = dw[p.column_rows[k] * p.columns + c];
          to = accumulate ? to + sums[k] : sums[k];
        }
    });
  }
}

Status masked_dense_backward(const KernelArgs& args) {
  const SparsePattern p = read_pattern(args.inputs[3].as<int32_t>());
  const TensorArg &dy = args.grad_outputs[0], *grads = args.grad_inputs;
  const int64_t n = dy.dims[0];
  const float* y = args.attrs->integer("relu") ? args.outputs[0].as<float>() : nullptr;
  Scratch scratch;
  const float* g =
      unmask(scratch, dy.as<float>(), y, n, p.rows, grads[2].as<float>(), args.accumulate[2]);
  if (grads[0].data)
    input_gradient(p, args.inputs[1].as<float>(), g, n, grads[0].as<float>(), args.accumulate[0]);
  if (grads[1].data)
    weight_gradient(p, args.inputs[0].as<float>(), g, n, grads[1].as<float>(), args.accumulate[1]);
  return Status::ok;
}

constexpr KernelRow rows[] = {{"masked_dense.forward", 1, masked_dense_forward},
                              {"masked_dense.backward", 1, masked_dense_backward}};

}  // namespace

KernelList masked_dense_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
