// The public functions: one documented line each. Shapes are logical (NCHW); every function returns
// a new tensor and leaves its inputs alone.
#pragma once

#include <vector>

#include "autograd/op.h"
#include "autograd/param.h"

namespace pare {

// The same elements under another shape (C order); -1 in one place is worked out.
Tensor reshape(const Tensor& x, const Ints& shape);
// All axes from `first_axis` on as one.
Tensor flatten(const Tensor& x, int first_axis = 1);

// x[n,in] weight[out,in]^T + bias[out], then ReLU if asked.
Tensor dense(const Tensor& x, const Tensor& weight, const Tensor& bias, bool relu = false);

struct Conv2dOptions {
  int stride = 1, padding = 0, dilation = 1, groups = 1;  // the same in both directions
  bool relu = false;                                      // fused after the bias
};
// x[n,c,h,w] with weight[o,c/groups,kh,kw] and bias[o], which may be absent; nhwc storage.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv2dOptions& options = {});
// Largest element of each kernel x kernel window, NaN where it holds one; stride 0 means the
// kernel's size.
Tensor max_pool2d(const Tensor& x, int kernel, int stride = 0);
// Mean of each kernel x kernel window; stride 0 means the kernel's size.
Tensor avg_pool2d(const Tensor& x, int kernel, int stride = 0);
// Mean over the pixels of each channel: x[n,c,h,w] to [n,c].
Tensor global_avg_pool(const Tensor& x);
struct BatchNormOptions {
  double momentum = 0.1;  // weight of the new batch in the running statistics
  double epsilon = 1e-5;
  bool relu = false;  // fused after the residual
};
// Normalizes each channel of x[n,c] or x[n,c,h,w]; gamma, beta and the running statistics are [c].
// `residual`, of x's shape, is added before the ReLU. Training needs two values a channel.
Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, Buffer& running_mean,
                  Buffer& running_variance, Mode mode, const BatchNormOptions& options = {},
                  const Tensor* residual = nullptr);
// In training, zeroes each element with probability p (0 <= p < 1) and scales the others by
// 1 / (1 - p); keyed by the run's seed and step and the node's name.
Tensor dropout(const Tensor& x, double p, Mode mode);
// Mean over the batch of -log softmax(logits[n,classes])[labels[n]]; labels i32 in 0..classes-1.
Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& labels);

// Elements begin, begin + step, ... below end along each axis; an end beyond the axis is its end.
Tensor slice(const Tensor& x, const Ints& begin, const Ints& end, const Ints& step);
constexpr int64_t slice_to_end = int64_t(1) << 62;
// `value` added before and after each axis.
Tensor pad(const Tensor& x, const Ints& before, const Ints& after, double value = 0);
// Up to eight tensors one after another along an axis; a negative axis counts from the end.
Tensor concat(const std::vector<Tensor>& parts, int axis);
// Up to four parts of the given sizes along an axis; the sizes sum to its extent.
std::vector<Tensor> split(const Tensor& x, int axis, const Ints& sizes);

// Elementwise on two tensors of one type; shapes broadcast as in NumPy.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);

// Over the named axes (negative ones count from the end), or over all when none is named; `keep`
// leaves them with one element each. The gradient of max goes to the first largest element.
Tensor sum(const Tensor& x, const Ints& axes = {}, bool keep = false);
Tensor mean(const Tensor& x, const Ints& axes = {}, bool keep = false);
Tensor max(const Tensor& x, const Ints& axes = {}, bool keep = false);
// Over the last axis.
Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);
// Axes in another order: axis i of the result is axis order[i] of x.
Tensor transpose(const Tensor& x, const Ints& order);

// Elementwise; any shape and format; NaN gives NaN.
Tensor neg(const Tensor& x);
Tensor exp(const Tensor& x);  // 0 where the result would be denormal
Tensor log(const Tensor& x);  // natural; -inf at 0 and denormals, NaN below
Tensor sqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor abs(const Tensor& x);  // gradient 0 at 0
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor gelu(const Tensor& x);  // tanh form
Tensor silu(const Tensor& x);  // x sigmoid(x)
Tensor clamp(const Tensor& x, double low, double high);
Tensor add_scalar(const Tensor& x, double scalar);
Tensor mul_scalar(const Tensor& x, double scalar);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, double b) { return add_scalar(a, b); }
inline Tensor operator-(const Tensor& a, double b) { return add_scalar(a, -b); }
inline Tensor operator*(const Tensor& a, double b) { return mul_scalar(a, b); }
inline Tensor operator/(const Tensor& a, double b) { return mul_scalar(a, 1 / b); }
inline Tensor operator-(const Tensor& a) { return neg(a); }

}  // namespace pare
