// Kernel rows of softmax_cross_entropy, of soft_target_loss, and of counting what a classifier gets
// right. One warp a row; a row's sums are added in one order, and so are the rows'.
#include <iterator>

#include "cuda/device.h"
#include "cuda/fault.h"
#include "cuda/fill.h"
#include "cuda/rows.h"
#include "cuda/warp_rows.h"

namespace pare::cuda {
namespace {

// One block: *y = factor * sum of x, in a fixed order.
template <class T, class Sum>
PARE_KERNEL void total_kernel(const Sum* x, int64_t n, double factor, T* y) {
  PARE_SHARED(Sum, partial, warps_per_block);
  Sum sum = 0;
  for (int64_t i = thread_x(); i < n; i += block_width()) sum += x[i];
  sum = block_sum(sum, partial);
  if (thread_x() == 0) *y = T(double(sum) * factor);
}

template <class T>
PARE_KERNEL void row_loss_kernel(const T* x, const int32_t* labels, T* losses, int64_t n,
                                 int64_t classes) {
  over_rows(n, [&](int64_t i) {
    const T* row = x + i * classes;
    const LogSum<T> s = log_sum(row, classes, T(1));
    const int32_t label = labels[i];
    if (lane() == 0)
      losses[i] = label >= 0 && label < classes ? s.top + s.log_of_sum - row[label] : T(NAN);
  });
}

// One block: the mean, and a fault where a label is none. Its loss is NaN, so no step follows.
template <class T>
PARE_KERNEL void mean_loss_kernel(const T* losses, const int32_t* labels, int64_t n,
                                  int64_t classes, T* y, Fault* fault) {
  PARE_SHARED(T, partial, warps_per_block);
  PARE_SHARED(int64_t, wrong, warps_per_block);
  T sum = T(0);
  int64_t first = -n;  // minus the first example whose label is none
  for (int64_t i = thread_x(); i < n; i += block_width()) {
    sum += losses[i];
    if ((labels[i] < 0 || labels[i] >= classes) && first == -n) first = -i;
  }
  sum = block_sum(sum, partial);
  first = block_max(first, wrong);
  if (thread_x() > 0) return;
  *y = sum / T(n);
  if (first > -n) note_fault(fault, Fault::label_outside, labels[-first], -first, classes - 1);
}

Status cross_entropy_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &labels = args.inputs[1];
  const int64_t n = x.dims[0], classes = x.dims[1];
  return for_float(x.dtype, [&]<class T>(T) {
    T* losses = scratch<T>(n);
    launch_over_rows(row_loss_kernel<T>, n, x.as<T>(), labels.as<int32_t>(), losses, n, classes);
    launch(mean_loss_kernel<T>, 1, threads_per_block, 0, stream(), losses, labels.as<int32_t>(), n,
           classes, args.outputs[0].as<T>(), fault_record());
  });
}

template <class T>
PARE_KERNEL void loss_gradient_kernel(const T* x, const int32_t* labels, const T* dy, T* dx,
                                      int64_t n, int64_t classes, bool accumulate) {
  const T scale = *dy / T(n);
  over_rows(n, [&](int64_t i) {
    const T* row = x + i * classes;
    const LogSum<T> s = log_sum(row, classes, T(1));
    const int32_t label = labels[i];
    const bool known = label >= 0 && label < classes;
    for (int64_t j = lane(); j < classes; j += warp_size) {
      T p = math::exp(row[j] - s.top) / s.sum;
      if (j == label) p -= T(1);
      const T g = known ? p * scale : T(NAN);
      T* to = dx + i * classes + j;
      *to = accumulate ? *to + g : g;
    }
  });
}

Status cross_entropy_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &labels = args.inputs[1], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    launch_over_rows(loss_gradient_kernel<T>, x.dims[0], x.as<T>(), labels.as<int32_t>(),
                     args.grad_outputs[0].as<T>(), dx.as<T>(), x.dims[0], x.dims[1],
                     args.accumulate[0]);
  });
}

// p (log p - log q) summed over a row; s are the student's logits (q), t the teacher's (p).
template <class T>
PARE_KERNEL void row_divergence_kernel(const T* s, const T* t, double* losses, int64_t n,
                                       int64_t classes, T temperature) {
  over_rows(n, [&](int64_t i) {
    const T *student = s + i * classes, *teacher = t + i * classes;
    const LogSum<T> q = log_sum(student, classes, temperature),
                    p = log_sum(teacher, classes, temperature);
    double sum = 0;
    for (int64_t j = lane(); j < classes; j += warp_size) {
      const T log_q = (student[j] - q.top) / temperature - q.log_of_sum,
              log_p = (teacher[j] - p.top) / temperature - p.log_of_sum;
      sum += double(math::exp(log_p)) * double(log_p - log_q);
    }
    sum = warp_sum(sum);
    if (lane() == 0) losses[i] = sum;
  });
}

template <class T>
PARE_KERNEL void divergence_gradient_kernel(const T* s, const T* t, const T* dy, T* ds, int64_t n,
                                            int64_t classes, T temperature, bool accumulate) {
  const T factor = *dy * temperature / T(n);
  over_rows(n, [&](int64_t i) {
    const T *student = s + i * classes, *teacher = t + i * classes;
    const LogSum<T> q = log_sum(student, classes, temperature),
                    p = log_sum(teacher, classes, temperature);
    for (int64_t j = lane(); j < classes; j += warp_size) {
      const T log_q = (student[j] - q.top) / temperature - q.log_of_sum,
              log_p = (teacher[j] - p.top) / temperature - p.log_of_sum;
      const T g = factor * (math::exp(log_q) - math::exp(log_p));
      T* to = ds + i * classes + j;
      *to = accumulate ? *to + g : g;
    }
  });
}

Status soft_target_forward(const KernelArgs& args) {
  const TensorArg &s = args.inputs[0], &t = args.inputs[1];
  const int64_t n = s.dims[0];
  const double temperature = args.attrs->real("temperature");
  return for_float(s.dtype, [&]<class T>(T) {
    double* losses = scratch<double>(n);
    launch_over_rows(row_divergence_kernel<T>, n, s.as<T>(), t.as<T>(), losses, n, s.dims[1],
                     T(temperature));
    const double rounded = double(T(temperature));
    launch(total_kernel<T, double>, 1, threads_per_block, 0, stream(), losses, n,
           rounded * rounded / double(n), args.outputs[0].as<T>());
  });
}

// The teacher gets no gradient.
Status soft_target_backward(const KernelArgs& args) {
  const TensorArg &s = args.inputs[0], &t = args.inputs[1], &ds = args.grad_inputs[0],
                  &dt = args.grad_inputs[1];
  return for_float(s.dtype, [&]<class T>(T) {
    if (dt.data && !args.accumulate[1]) fill(dt.as<T>(), dt.elements, T(0));
    if (ds.data)
      launch_over_rows(divergence_gradient_kernel<T>, s.dims[0], s.as<T>(), t.as<T>(),
                       args.grad_outputs[0].as<T>(), ds.as<T>(), s.dims[0], s.dims[1],
                       T(args.attrs->real("temperature")), args.accumulate[0]);
  });
}

// hits[i] = whether row i is largest, the first of equals, at its label; NaN where an element of it
// is not finite.
template <class T>
PARE_KERNEL void hit_kernel(const T* x, const int32_t* labels, double* hits, int64_t n,
                            int64_t classes) {
  over_rows(n, [&](int64_t i) {
    const T* row = x + i * classes;
    T top = T(-HUGE_VAL);
    int64_t at = classes;
    double wrong = 0;  // x * 0 is NaN for what is not finite, and NaN survives a sum
    for (int64_t j = lane(); j < classes; j += warp_size) {
      wrong += double(row[j]) * 0.0;
      if (row[j] > top || (row[j] == top && j < at)) {
        top = row[j];
        at = j;
      }
    }
    for (int bits = warp_size / 2; bits > 0; bits /= 2) {
      const T other = shuffle_xor(top, bits);
      const int64_t place = shuffle_xor(at, bits);
      wrong += shuffle_xor(wrong, bits);
      if (other > top || (other == top && place < at)) {
        top = other;
        at = place;
      }
    }
    if (lane() == 0) hits[i] = double(at == labels[i]) + wrong;
  });
}

Status count_correct(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &labels = args.inputs[1];
  const int64_t n = x.dims[0];
  return for_float(x.dtype, [&]<class T>(T) {
    double* hits = scratch<double>(n);
    launch_over_rows(hit_kernel<T>, n, x.as<T>(), labels.as<int32_t>(), hits, n, x.dims[1]);
    launch(total_kernel<double, double>, 1, threads_per_block, 0, stream(), hits, n, 1.0,
           args.outputs[0].as<double>());
  });
}

constexpr KernelRow rows[] = {
    {"softmax_cross_entropy.forward", 1, guarded<cross_entropy_forward>},
    {"softmax_cross_entropy.backward", 1, guarded<cross_entropy_backward>},
    {"soft_target_loss.forward", 1, guarded<soft_target_forward>},
    {"soft_target_loss.backward", 1, guarded<soft_target_backward>},
    {"count_correct", 1, guarded<count_correct>},
};

}  // namespace

KernelList loss_rows() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cuda
