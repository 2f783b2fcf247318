// Kernel rows of the optimizers (see core/cpu/optimizers.cpp): all parameters in one launch. Each
// element goes through the operations of the CPU's rule in the same order, and gets its bits.
#include <cmath>
#include <iterator>

#include "cuda/device.h"
#include "cuda/parts.h"
#include "cuda/rows.h"

namespace pare::cuda {
namespace {

template <class T>
PARE_DEVICE inline bool is_finite(T v) {
  return v * T(0) == T(0);
}

// Of the running block's stretch: the sum of squares, and the label of the part where an element
// is not finite (0: all are).
template <class T>
PARE_KERNEL void measure_kernel(Parts<T, 1> parts, double* squares, int32_t* wrong,
                                bool with_squares) {
  PARE_SHARED(double, partial, warps_per_block);
  PARE_SHARED(int32_t, bad, warps_per_block);
  const int part = own_part(parts);
  const T* g = parts.at[part][0];
  const uint8_t* mask = parts.mask[part];
  double sum = 0;
  int32_t found = 0;
  over_part(parts, part, [&](int64_t i, auto n) {
    const Vector<T, n()> v = load<n()>(g + i);
    for (int k = 0; k < n(); ++k) {
      if (!is_finite(v[k])) found = 1;
      if (with_squares && (!mask || mask[i + k])) sum += double(v[k]) * double(v[k]);
    }
  });
  found = block_max(found, bad);
  if (with_squares) sum = block_sum(sum, partial);
  if (thread_x() > 0) return;
  wrong[block_x()] = found ? parts.label[part] : 0;
  squares[block_x()] = sum;
}

// One block: from the partial results to the verdict. `most` < 0: there is no loss.
template <class T>
PARE_KERNEL void verdict_kernel(const T* loss, double most, double clip, const double* squares,
                                const int32_t* wrong, int64_t n, double* verdict) {
  PARE_SHARED(double, partial, warps_per_block);
  PARE_SHARED(int32_t, bad, warps_per_block);
  double sum = 0;
  int32_t first = 0;  // label of the first part that is wrong, negative: the largest is wanted
  for (int64_t i = thread_x(); i < n; i += block_width()) {
    sum += squares[i];
    const int32_t found = -wrong[i];
    if (found && (!first || found > first)) first = found;
  }
  if (!first) first = INT32_MIN;
  first = block_max(first, bad);
  sum = block_sum(sum, partial);
  if (thread_x() > 0 || verdict[1] != 0) return;
  const double norm = std::sqrt(sum);
  verdict[0] = clip > 0 && norm > clip ? clip / norm : 1;
  if (loss && !(double(*loss) <= most && double(*loss) * 0 == 0))
    verdict[1] = -1;
  else if (first != INT32_MIN)
    verdict[1] = -first;
}

Status check_gradients(const KernelArgs& args) {
  const TensorArg& loss = args.inputs[0];
  const double clip = args.attrs->real("clip"), most = args.attrs->real("most");
  int64_t blocks = 0;
  for (int i = 1; i < args.output_count; ++i) blocks += ceil_div(args.outputs[i].elements, stretch);
  double* squares = scratch<double>(blocks);
  int32_t* wrong = scratch<int32_t>(blocks);
  int64_t done = 0;
  for (const DType dtype : {DType::f32, DType::f64})
    for_float(dtype, [&]<class T>(T) {
      in_launches<T, 1>(
          args.output_count - 1,
          [&](Parts<T, 1>& parts, int i) {
            const TensorArg& g = args.outputs[i + 1];
            if (g.dtype == dtype)
              parts.add({g.as<T>()}, args.inputs[i + 1].as<uint8_t>(), g.elements, i + 1);
          },
          [&](const Parts<T, 1>& parts) {
            launch(measure_kernel<T>, parts.blocks(), threads_per_block, 0, stream(), parts,
                   squares + done, wrong + done, clip > 0);
            done += parts.blocks();
          });
    });
  return for_float(loss.data ? loss.dtype : DType::f32, [&]<class T>(T) {
    launch(verdict_kernel<T>, 1, threads_per_block, 0, stream(), loss.as<T>(), most, clip, squares,
           wrong, blocks, args.outputs[0].as<double>());
  });
}

// x: value, gradient, momentum.
template <class T, int N>
struct Sgd {
  T rate, momentum, decay;
  bool nesterov;
  PARE_DEVICE void operator()(T (&x)[N], T scale) const {
    const T d = scale * x[1] + decay * x[0];
    if constexpr (N == 2) {
      x[0] -= rate * d;
    } else {
      x[2] = momentum * x[2] + d;
      x[0] -= rate * (nesterov ? d + momentum * x[2] : x[2]);
    }
  }
};

// x: value, gradient, first and second moment.
template <class T, int N>
struct Adam {
  T decay, shrink, beta1, beta2, step_size, root, epsilon;
  PARE_DEVICE void operator()(T (&x)[N], T scale) const {
    const T d = scale * x[1] + decay * x[0];
    x[2] += (d - x[2]) * (T(1) - beta1);
    x[3] = beta2 * x[3] + (T(1) - beta2) * d * d;
    x[0] = shrink * x[0] - step_size * x[2] / (std::sqrt(x[3]) / root + epsilon);
  }
};

template <class T, int N, class Rule>
PARE_KERNEL void step_kernel(Parts<T, N> parts, Rule rule, const double* verdict) {
  if (verdict[1] != 0) return;
  const T scale = T(verdict[0]);
  const int part = own_part(parts);
  const uint8_t* mask = parts.mask[part];
  over_part(parts, part, [&](int64_t i, auto n) {
    Vector<T, n()> v[N];
    for (int t = 0; t < N; ++t) v[t] = load<n()>(parts.at[part][t] + i);
    Vector<uint8_t, n()> keep{};
    if (mask) keep = load<n()>(mask + i);
    for (int k = 0; k < n(); ++k) {
      T x[N];
      for (int t = 0; t < N; ++t) x[t] = v[t][k];
      rule(x, scale);
      for (int t = 0; t < N; ++t) v[t][k] = mask && !keep[k] ? T(0) : x[t];
    }
    for (int t = 0; t < N; ++t)
      if (t != 1 || mask) store<n()>(parts.at[part][t] + i, v[t]);
  });
}

template <class T, int N, class Rule>
void update(const KernelArgs& args, const Rule& rule) {
  const int params = args.input_count - 1;
  in_launches<T, N>(
      params,
      [&](Parts<T, N>& parts, int p) {
        const TensorArg* out = args.outputs + p * N;
        if (out[0].dtype != (sizeof(T) == 4 ? DType::f32 : DType::f64)) return;
        T* tensors[N];
        for (int t = 0; t < N; ++t) tensors[t] = out[t].as<T>();
        parts.add(tensors, args.inputs[1 + p].as<uint8_t>(), out[0].elements, p);
      },
      [&](const Parts<T, N>& parts) {
        launch(step_kernel<T, N, Rule>, parts.blocks(), threads_per_block, 0, stream(), parts, rule,
               args.inputs[0].as<double>());
      });
}

template <class T>
void sgd(const KernelArgs& args) {
  const Attrs& a = *args.attrs;
  const T rate = T(a.real("rate")), momentum = T(a.real("momentum")), decay = T(a.real("decay"));
  const bool nesterov = a.integer("nesterov") != 0;
  if (a.real("momentum") > 0)
    update<T, 3>(args, Sgd<T, 3>{rate, momentum, decay, nesterov});
  else
    update<T, 2>(args, Sgd<T, 2>{rate, momentum, decay, nesterov});
}
Status sgd_step(const KernelArgs& args) {
  sgd<float>(args);
  sgd<double>(args);
  return Status::ok;
}

template <class T>
void adam(const KernelArgs& args) {
  const Attrs& a = *args.attrs;
  update<T, 4>(args, Adam<T, 4>{T(a.real("decay")), T(a.real("shrink")), T(a.real("beta1")),
                                T(a.real("beta2")), T(a.real("step_size")), T(a.real("root")),
                                T(a.real("epsilon"))});
}
Status adam_step(const KernelArgs& args) {
  adam<float>(args);
  adam<double>(args);
  return Status::ok;
}

constexpr KernelRow rows[] = {
    {"check_gradients", 1, guarded<check_gradients>},
    {"sgd.step", 1, guarded<sgd_step>},
    {"adam.step", 1, guarded<adam_step>},
};

}  // namespace

KernelList optimizer_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
