// Kernel rows of the loss of classifiers, and of counting what they get right.
#include <algorithm>
#include <cstdio>
#include <iterator>

#include "core/cpu/backend_cpu.h"
#include "core/cpu/scratch.h"
#include "core/math.h"
#include "core/typed.h"

namespace pare::cpu {
namespace {

// p[j] = softmax(x)[j]; returns log of the sum of exp(x).
template <class T>
T softmax_row(const T* x, int64_t classes, T* p) {
  T top = x[0], sum = T(0);
  for (int64_t j = 1; j < classes; ++j) top = x[j] > top ? x[j] : top;
  for (int64_t j = 0; j < classes; ++j) sum += p[j] = math::exp(x[j] - top);
  for (int64_t j = 0; j < classes; ++j) p[j] /= sum;
  return top + math::log(sum);
}

Status cross_entropy_forward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &labels = args.inputs[1];
  const int64_t n = x.dims[0], classes = x.dims[1];
  for (int64_t i = 0; i < n; ++i)
    if (labels.as<int32_t>()[i] < 0 || labels.as<int32_t>()[i] >= classes) {
      std::snprintf(args.error, 256, "label %d of example %lld is outside 0..%lld",
                    labels.as<int32_t>()[i], static_cast<long long>(i),
                    static_cast<long long>(classes - 1));
      return Status::failed;
    }
  return for_float(x.dtype, [&]<class T>(T) {
    Scratch scratch;
    T* p = scratch.take<T>(size_t(classes));
    T total = T(0);
    for (int64_t i = 0; i < n; ++i) {
      const T* row = x.as<T>() + i * classes;
      total += softmax_row(row, classes, p) - row[labels.as<int32_t>()[i]];
    }
    *args.outputs[0].as<T>() = total / T(n);
  });
}

Status cross_entropy_backward(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &labels = args.inputs[1], &dx = args.grad_inputs[0];
  if (!dx.data) return Status::ok;
  return for_float(dx.dtype, [&]<class T>(T) {
    const int64_t n = x.dims[0], classes = x.dims[1];
    Scratch scratch;
    T* p = scratch.take<T>(size_t(classes));
    const T scale = *args.grad_outputs[0].as<T>() / T(n);
    for (int64_t i = 0; i < n; ++i) {
      softmax_row(x.as<T>() + i * classes, classes, p);
      p[labels.as<int32_t>()[i]] -= T(1);
      T* to = dx.as<T>() + i * classes;
      for (int64_t j = 0; j < classes; ++j)
        to[j] = args.accumulate[0] ? to[j] + p[j] * scale : p[j] * scale;
    }
  });
}

// How many rows of inputs[0] are largest (the first of equals) at the label, inputs[1]; f64, NaN
// where an element of inputs[0] is not finite.
Status count_correct(const KernelArgs& args) {
  const TensorArg &x = args.inputs[0], &labels = args.inputs[1];
  return for_float(x.dtype, [&]<class T>(T) {
    const int64_t classes = x.dims[1];
    int64_t correct = 0;
    T wrong = T(0);  // x * 0 is NaN for what is not finite, and NaN survives a sum
    for (int64_t i = 0; i < x.dims[0]; ++i) {
      const T* row = x.as<T>() + i * classes;
      correct += std::max_element(row, row + classes) - row == labels.as<int32_t>()[i];
      for (int64_t j = 0; j < classes; ++j) wrong += row[j] * T(0);
    }
    *args.outputs[0].as<double>() = double(correct) + double(wrong);
  });
}

constexpr KernelRow rows[] = {
    {"softmax_cross_entropy.forward", 1, cross_entropy_forward},
    {"softmax_cross_entropy.backward", 1, cross_entropy_backward},
    {"count_correct", 1, count_correct},
};

}  // namespace

KernelList loss_kernels() { return {rows, int(std::size(rows))}; }

}  // namespace pare::cpu
