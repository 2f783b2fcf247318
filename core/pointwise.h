// The pointwise functions of one variable. One struct an op; the CPU loops, the gradient, the graph
// op and the tests all come from the list at the end, and a CUDA kernel can be made from the same
// f.
//
// f(x, a, b) is the function with up to two attributes; df(s, a, b) its derivative in terms of what
// backward keeps: the input x, or the output y where saves_output is true. NaN goes through every
// f, so that a network that broke down shows it.
#pragma once

#include "core/math.h"

namespace pare::pointwise {

#define PARE_POINTWISE(Name, text, output, first, second, f_expression, df_expression)      \
  struct Name {                                                                             \
    static constexpr char name[] = text;                                                    \
    static constexpr bool saves_output = output;                                            \
    static constexpr const char* attributes[2] = {first, second};                           \
    template <class T>                                                                      \
    PARE_HD static T f([[maybe_unused]] T x, [[maybe_unused]] T a, [[maybe_unused]] T b) {  \
      return f_expression;                                                                  \
    }                                                                                       \
    template <class T>                                                                      \
    PARE_HD static T df([[maybe_unused]] T s, [[maybe_unused]] T a, [[maybe_unused]] T b) { \
      return df_expression;                                                                 \
    }                                                                                       \
  };

// Tanh form of GELU (Hendrycks and Gimpel 2016): x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + c x^3).
template <class T>
PARE_HD inline T gelu_u(T x) {
  return T(0.79788456080286535588) * (x + T(0.044715) * x * x * x);
}
template <class T>
PARE_HD inline T gelu_slope(T x) {
  const T t = math::tanh(gelu_u(x));
  return T(0.5) * (T(1) + t) +
         T(0.5) * x * (T(1) - t * t) * T(0.79788456080286535588) * (T(1) + T(3 * 0.044715) * x * x);
}
template <class T>
PARE_HD inline T silu_slope(T x) {
  const T g = math::sigmoid(x);
  return g * (T(1) + x * (T(1) - g));
}

PARE_POINTWISE(Neg, "neg", false, nullptr, nullptr, -x, T(-1))
PARE_POINTWISE(Exp, "exp", true, nullptr, nullptr, math::exp(x), s)
PARE_POINTWISE(Log, "log", false, nullptr, nullptr, math::log(x), T(1) / s)
PARE_POINTWISE(Sqrt, "sqrt", true, nullptr, nullptr, std::sqrt(x), T(0.5) / s)
PARE_POINTWISE(Square, "square", false, nullptr, nullptr, x* x, T(2) * s)
PARE_POINTWISE(Abs, "abs", false, nullptr, nullptr, x < T(0) ? -x : x,
               s < T(0) ? T(-1) : (s > T(0) ? T(1) : T(0)))
PARE_POINTWISE(Relu, "relu", true, nullptr, nullptr, x<T(0) ? T(0) : x, s> T(0) ? T(1) : T(0))
PARE_POINTWISE(LeakyRelu, "leaky_relu", false, "slope", nullptr, x > T(0) ? x : a * x,
               s > T(0) ? T(1) : a)
PARE_POINTWISE(Sigmoid, "sigmoid", true, nullptr, nullptr, math::sigmoid(x), s*(T(1) - s))
PARE_POINTWISE(Tanh, "tanh", true, nullptr, nullptr, math::tanh(x), T(1) - s * s)
PARE_POINTWISE(Gelu, "gelu", false, nullptr, nullptr, T(0.5) * x * (T(1) + math::tanh(gelu_u(x))),
               gelu_slope(s))
PARE_POINTWISE(Silu, "silu", false, nullptr, nullptr, x* math::sigmoid(x), silu_slope(s))
PARE_POINTWISE(Clamp, "clamp", false, "low", "high", x < a ? a : (x > b ? b : x),
               s<a || s> b ? T(0) : T(1))
PARE_POINTWISE(AddScalar, "add_scalar", false, "scalar", nullptr, x + a, T(1))
PARE_POINTWISE(MulScalar, "mul_scalar", false, "scalar", nullptr, x* a, a)
#undef PARE_POINTWISE

template <class... Ops>
struct List {
  template <class F>
  static void for_each(F&& f) {
    (f(Ops{}), ...);
  }
  static constexpr int count = sizeof...(Ops);
};
using All = List<Neg, Exp, Log, Sqrt, Square, Abs, Relu, LeakyRelu, Sigmoid, Tanh, Gelu, Silu,
                 Clamp, AddScalar, MulScalar>;

}  // namespace pare::pointwise
