#include "tests/support/random_net.h"

#include <cmath>
#include <functional>

#include "core/random.h"
#include "layers/layers.h"

namespace pare::testing {
namespace {

using Env = std::vector<Tensor>;  // what has been computed so far

// A program over tensors, with the layers it owns.
class RandomNet : public Module {
 public:
  explicit RandomNet(uint64_t seed, const RandomNetOptions& o) : rng_(seed), options_(o) {
    shapes_.push_back({3, 8, 8});
    conv_of(0);
    for (int i = 0; i < o.steps; ++i) step();
    head();
  }

  Tensor forward(const Tensor& x, Mode mode) override {
    Env env{x};
    for (const auto& f : program_) f(env, mode);
    return env.back();
  }
  void visit(Visitor& v) override {
    for (size_t i = 0; i < layers_.size(); ++i) v("layer" + std::to_string(i), *layers_[i]);
  }

 private:
  struct Extents {
    int64_t c, h, w;  // h == 0: features, [n, c]
    bool operator==(const Extents&) const = default;
  };
  using Run = std::function<Tensor(const Env&, Mode)>;

  int64_t below(int64_t n) { return int64_t(rng_.below(uint64_t(n))); }
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  // Recent tensors more often than old ones, so that the network grows deep.
  int pick() {
    const int n = int(shapes_.size());
    return below(3) ? n - 1 : std::max(1, int(n - 1 - below(std::min(n - 1, 5))));
  }
  int push(const Extents& shape, Run run) {
    program_.push_back([run](Env& env, Mode mode) { env.push_back(run(env, mode)); });
    shapes_.push_back(shape);
    return int(shapes_.size()) - 1;
  }
  template <class L, class... Args>
  L* own(Args&&... args) {
    auto layer = std::make_unique<L>(std::forward<Args>(args)...);
    L* p = layer.get();
    layers_.push_back(std::move(layer));
    return p;
  }
  int apply(int x, const Extents& shape, Module* layer) {
    return push(shape, [x, layer](const Env& e, Mode m) { return (*layer)(e[size_t(x)], m); });
  }

  int conv_of(int x, int64_t out = 0) {
    const Extents s = shapes_[size_t(x)];
    if (out == 0) out = between(2, 9);
    const bool wide = below(2);
    return apply(x, {out, s.h, s.w},
                 own<Conv2d>(s.c, out, wide ? 3 : 1,
                             Conv2dOptions{.padding = wide, .relu = below(2) > 0}, below(2) > 0));
  }
  void grouped(int x) {
    const Extents s = shapes_[size_t(x)];
    std::vector<int64_t> divisors;
    for (int64_t g = 1; g <= s.c; ++g)
      if (s.c % g == 0) divisors.push_back(g);
    const int64_t groups = below(2) ? s.c : divisors[size_t(below(int64_t(divisors.size())))];
    const int64_t out = groups * between(1, 3);
    apply(x, {out, s.h, s.w},
          own<Conv2d>(s.c, out, 3, Conv2dOptions{.padding = 1, .groups = int(groups)}));
  }
  void norm(int x) {
    const Extents s = shapes_[size_t(x)];
    auto* layer = own<BatchNorm2d>(s.c, below(2) > 0);
    for (int r = int(shapes_.size()) - 1; r > 0; --r)
      if (r != x && shapes_[size_t(r)] == s && below(2)) {
        push(s,
             [=](const Env& e, Mode m) { return layer->forward(e[size_t(x)], e[size_t(r)], m); });
        return;
      }
    apply(x, s, layer);
  }
  void activation(int x) {
    const int64_t kind = below(4);
    push(shapes_[size_t(x)], [=](const Env& e, Mode) {
      const Tensor& t = e[size_t(x)];
      return kind == 0 ? relu(t) : kind == 1 ? tanh(t) : kind == 2 ? sigmoid(t) : add_scalar(t, 1);
    });
  }
  void pool(int x) {
    const Extents s = shapes_[size_t(x)];
    if (s.h < 4) return;
    const bool largest = below(2);
    push({s.c, s.h / 2, s.w / 2}, [=](const Env& e, Mode) {
      return largest ? max_pool2d(e[size_t(x)], 2) : avg_pool2d(e[size_t(x)], 2);
    });
  }
  // Any other tensor of the same pixels.
  int partner(int x) {
    const Extents s = shapes_[size_t(x)];
    for (int tries = 0; tries < 8; ++tries) {
      const int y = int(between(1, int64_t(shapes_.size()) - 1));
      if (y != x && shapes_[size_t(y)].h == s.h) return y;
    }
    return conv_of(x);
  }
  void sum_of(int x) {
    int y = partner(x);
    if (shapes_[size_t(y)].c != shapes_[size_t(x)].c) y = conv_of(y, shapes_[size_t(x)].c);
    const int64_t kind = below(3);
    push(shapes_[size_t(x)], [=](const Env& e, Mode) {
      const Tensor &a = e[size_t(x)], &b = e[size_t(y)];
      return kind == 0 ? mul(a, b) : kind == 1 ? sub(a, b) : add(a, b);
    });
  }
  void join(int x) {
    const int y = partner(x);
    const Extents s = shapes_[size_t(x)];
    if (s.c + shapes_[size_t(y)].c > 24) return;
    push({s.c + shapes_[size_t(y)].c, s.h, s.w},
         [=](const Env& e, Mode) { return concat({e[size_t(x)], e[size_t(y)]}, 1); });
  }
  void part(int x) {
    const Extents s = shapes_[size_t(x)];
    if (s.c < 2) return;
    const int64_t first = between(1, s.c - 1);
    push({first, s.h, s.w},
         [=](const Env& e, Mode) { return split(e[size_t(x)], 1, {first, s.c - first})[0]; });
    // Recorded again: two nodes read one value.
    push({s.c - first, s.h, s.w},
         [=](const Env& e, Mode) { return split(e[size_t(x)], 1, {first, s.c - first})[1]; });
  }
  void cut(int x) {
    const Extents s = shapes_[size_t(x)];
    const int64_t begin = below(s.c), end = between(begin + 1, s.c);
    push({end - begin, s.h, s.w}, [=](const Env& e, Mode) {
      return slice(e[size_t(x)], {0, begin, 0, 0}, {slice_to_end, end, slice_to_end, slice_to_end},
                   {1, 1, 1, 1});
    });
  }
  void padded(int x) {
    const Extents s = shapes_[size_t(x)];
    const int64_t before = below(3), after = below(3);
    push({before + s.c + after, s.h, s.w}, [=](const Env& e, Mode) {
      return pad(e[size_t(x)], {0, before, 0, 0}, {0, after, 0, 0}, 0.5);
    });
  }
  void scaled(int x) {
    struct Scale : Module {
      explicit Scale(int64_t c) : scale(Tensor::full({c, 1, 1}, 1)) {}
      Tensor forward(const Tensor& t, Mode) override { return mul(t, scale()); }
      void visit(Visitor& v) override { v("scale", scale); }
      Param scale;
    };
    apply(x, shapes_[size_t(x)], own<Scale>(shapes_[size_t(x)].c));
  }
  // Squeeze and excitation (Hu et al. 2018).
  void excite(int x) {
    const Extents s = shapes_[size_t(x)];
    auto* down = own<Dense>(s.c, between(2, 4), true);
    auto* up = own<Dense>(down->weight.value().size(0), s.c);
    push(s, [=](const Env& e, Mode m) {
      const Tensor gate = sigmoid((*up)((*down)(global_avg_pool(e[size_t(x)]), m), m));
      return mul(e[size_t(x)], reshape(gate, {gate.size(0), s.c, 1, 1}));
    });
  }
  // Channel shuffle (Zhang et al. 2018).
  void shuffle(int x) {
    const Extents s = shapes_[size_t(x)];
    if (s.c % 2) return;
    push(s, [=](const Env& e, Mode) {
      const int64_t n = e[size_t(x)].size(0);
      const Tensor t = reshape(e[size_t(x)], {n, 2, s.c / 2, s.h, s.w});
      return reshape(transpose(t, {0, 2, 1, 3, 4}), {n, s.c, s.h, s.w});
    });
  }
  void twice(int x) {
    const Extents s = shapes_[size_t(x)];
    auto* layer = own<Conv2d>(s.c, s.c, 1, Conv2dOptions{.relu = true});
    apply(apply(x, s, layer), s, layer);
  }

  void step() {
    const int x = pick();
    switch (below(16)) {
      case 0:
      case 1:
        conv_of(x);
        break;
      case 2:
        grouped(x);
        break;
      case 3:
      case 4:
        norm(x);
        break;
      case 5:
        activation(x);
        break;
      case 6:
        pool(x);
        break;
      case 7:
      case 8:
        sum_of(x);
        break;
      case 9:
        join(x);
        break;
      case 10:
        part(x);
        break;
      case 11:
        cut(x);
        break;
      case 12:
        padded(x);
        break;
      case 13:
        scaled(x);
        break;
      case 14:
        below(2) ? excite(x) : shuffle(x);
        break;
      case 15:
        if (options_.dropout)
          apply(x, shapes_[size_t(x)], own<Dropout>(0.3));
        else
          twice(x);
        break;
    }
  }

  // Features of the last tensors, joined, through dense layers.
  void head() {
    const int x = int(shapes_.size()) - 1, y = pick();
    const auto features = [&](int from) {
      const Extents s = shapes_[size_t(from)];
      const bool flat = below(2);
      return push({flat ? s.c * s.h * s.w : s.c, 0, 0}, [=](const Env& e, Mode) {
        return flat ? flatten(e[size_t(from)]) : global_avg_pool(e[size_t(from)]);
      });
    };
    const int a = features(x), b = features(y);
    const int64_t n = shapes_[size_t(a)].c + shapes_[size_t(b)].c, hidden = between(3, 8);
    const int all = push(
        {n, 0, 0}, [=](const Env& e, Mode) { return concat({e[size_t(a)], e[size_t(b)]}, 1); });
    int h = apply(all, {hidden, 0, 0}, own<Dense>(n, hidden, below(2) > 0));
    if (below(2)) h = apply(h, {hidden, 0, 0}, own<BatchNorm2d>(hidden, true));
    auto* tied = own<Dense>(hidden, hidden, true);
    for (int64_t i = below(3); i > 0; --i) h = apply(h, {hidden, 0, 0}, tied);
    apply(h, {4, 0, 0}, own<Dense>(hidden, 4));
  }

  Rng rng_;
  RandomNetOptions options_;
  std::vector<Extents> shapes_;
  std::vector<std::function<void(Env&, Mode)>> program_;
  std::vector<std::unique_ptr<Module>> layers_;
};

}  // namespace

std::unique_ptr<Module> random_net(uint64_t seed, const RandomNetOptions& options) {
  auto net = std::make_unique<RandomNet>(seed, options);
  Rng rng(seed ^ 0x5eed);
  for (auto& [name, param] : named_parameters(*net)) {
    const Tensor& t = param.value();
    const double scale = t.rank() > 1 ? 1.5 / std::sqrt(double(t.elements() / t.size(0))) : 0.5;
    for (int64_t i = 0; i < t.elements(); ++i)
      t.data<float>()[i] = float((t.rank() > 1 ? 0 : 0.7) + scale * rng.normal());
  }
  for (auto& [name, buffer] : named_buffers(*net))
    for (int64_t i = 0; i < buffer.value().elements(); ++i)
      buffer.value().data<float>()[i] = float(0.5 + rng.uniform());
  return net;
}

}  // namespace pare::testing
