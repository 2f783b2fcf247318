// From a graph to a plan: passes first, then one step a node. Images lie nhwc between steps; a
// value is converted where a reader needs the plain order, except that a dense layer behind a
// flatten has its columns put into the order of the pixels instead.
#include <algorithm>
#include <map>
#include <string_view>

#include "compress/passes/edit.h"
#include "compress/passes/passes.h"
#include "compress/plan/sparse_forms.h"
#include "compress/plan/whole_plan.h"

namespace pare {
namespace {

using namespace plan;

class Compiler {
 public:
  Compiler(Graph graph, Plan::State& state, SparseUse sparse, bool winograd, const Timing& timing)
      : g_(std::move(graph)), s_(state), sparse_(sparse), winograd_(winograd), timing_(timing) {}

  void run() {
    const size_t n = g_.values.size();
    s_.places.resize(n);
    known_.resize(n);
    layouts_.assign(n, Layout::plain);
    images_.resize(n);
    for (size_t v = 0; v < n; ++v) {
      set_size(int(v), g_.values[v].shape, g_.values[v].dtype);
      known_[v] = passes::known_tensor(g_, int(v));
      if (known_[v].defined()) {
        s_.places[v].kind = Plan::State::Kind::constant;
        s_.places[v].constant = known_[v];
      }
    }
    s_.input = g_.input;
    s_.places[size_t(g_.input)].kind = Plan::State::Kind::input;
    const GraphValue& in = g_.values[size_t(g_.input)];
    s_.input_shape = in.shape;
    s_.input_dtype = in.dtype;
    check(in.shape.size() > 0 && in.shape.symbolic == 1 && in.shape[0] == 1, ErrorCode::bad_input,
          "compile: the first axis of the input '{}' is not the batch", in.name);
    std::vector<const GraphNode*> computed;
    for (const GraphNode& node : g_.nodes)
      if (!constant_node(node)) computed.push_back(&node);
    for (const GraphNode* node : computed)
      if (!native(*node)) fallback(*node);
    finish(g_.outputs.front());
    s_.place_values();
  }

 private:
  using Kind = Plan::State::Kind;

  const Shape& image(int v) const { return images_[size_t(v)]; }
  Tensor known(int v) const { return known_[size_t(v)]; }

  void set_size(int v, const Ints& ints, DType dtype) {
    Shape shape;
    for (int i = 0; i < ints.size(); ++i) shape.push_back(ints[i]);
    s_.places[size_t(v)].bytes = shape.elements() * int64_t(size_of(dtype));
    images_[size_t(v)] = shape;
  }

  // One float image a batch element.
  bool batched(int v) const {
    const GraphValue& value = g_.values[size_t(v)];
    return value.dtype == DType::f32 && value.shape.size() > 0 && value.shape.symbolic == 1 &&
           value.shape[0] == 1 && !known(v).defined();
  }
  bool known_f32(int v) const { return known(v).defined() && known(v).dtype() == DType::f32; }

  int new_value(int like, const char* suffix) {
    GraphValue v = g_.values[size_t(like)];
    v.name += suffix;
    v.kind = ValueKind::computed;
    const int id = g_.add_value(std::move(v));
    s_.places.emplace_back();
    known_.emplace_back();
    layouts_.push_back(Layout::plain);
    images_.push_back(images_[size_t(like)]);
    s_.places.back().bytes = s_.places[size_t(like)].bytes;
    return id;
  }

  void emit(StepPtr step, const std::string& name, std::vector<int> inputs, int output,
            Layout layout) {
    step->name = name;
    step->inputs = std::move(inputs);
    step->output = output;
    s_.places[size_t(output)].kind = Kind::arena;
    layouts_[size_t(output)] = layout;
    s_.steps.push_back(std::move(step));
  }

  // `v` in the wanted layout: itself, or a converted copy that later readers share.
  int as(int v, Layout layout) {
    if (layouts_[size_t(v)] == layout || known(v).defined()) return v;
    if (image(v).rank() == 4 && image(v)[1] == 1) return v;  // one channel lies the same in both
    const auto flat = pixels_of_.find(v);
    const auto made = converted_.find({v, layout});
    if (made != converted_.end()) return made->second;
    const int out = new_value(v, layout == Layout::nhwc ? "/nhwc" : "/plain");
    const Shape& shape = flat == pixels_of_.end() ? image(v) : flat->second;
    emit(convert_step(shape, layouts_[size_t(v)]), g_.values[size_t(out)].name, {v}, out, layout);
    return converted_[{v, layout}] = out;
  }

  // Nodes that depend on constants alone are computed now.
  bool constant_node(const GraphNode& node) {
    for (const int v : node.inputs)
      if (!known(v).defined()) return false;
    std::vector<Tensor> in;
    std::vector<Buffer> held;
    std::vector<Buffer*> buffers;
    for (const int v : node.inputs) in.push_back(known(v));
    for (const int b : node.buffers) held.push_back(g_.buffers[size_t(b)].buffer);
    for (Buffer& b : held) buffers.push_back(&b);
    for (const Attrs::Entry& e : node.attrs)
      if (e.ints.symbolic) return false;
    std::array<Tensor, max_outputs> out;
    ApplyOptions options;
    options.buffers = buffers;
    options.node_name = node.name;
    apply(*node.op, in, node.attrs, out, options);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const auto v = size_t(node.outputs[i]);
      known_[v] = s_.places[v].constant = out[i].plain();
      s_.places[v].kind = Kind::constant;
    }
    return true;
  }

  bool native(const GraphNode& node) {
    const std::string_view op = node.op->name;
    const int x = node.inputs[0], y = node.outputs[0];
    if (op == "dropout") return alias(x, y);
    if (!batched(x) || !batched(y)) return false;
    const bool residual = node.inputs.size() > 3;
    if (op == "dense" || op == "dense_add") return dense(node, residual);
    if (op == "conv2d" || op == "conv2d_add") return conv(node, residual);
    if (op == "reshape") return flatten(x, y);
    if (op == "relu")
      return emit(relu_step(image(y).elements()), node.name, {x}, y, layouts_[size_t(x)]),
             keep_pixels(x, y), true;
    if (op == "add") return add(node);
    if (image(x).rank() != 4) return false;
    if (op == "max_pool2d") return pool(node, Pool::max);
    if (op == "avg_pool2d") return pool(node, Pool::average);
    if (op == "global_avg_pool") return pool(node, Pool::global_average);
    if (op == "slice" || op == "pad") return shortcut(node);
    return false;
  }

  void keep_pixels(int x, int y) {
    const auto it = pixels_of_.find(x);
    if (it == pixels_of_.end()) return;
    const Shape shape = it->second;
    pixels_of_[y] = shape;
  }

  bool alias(int x, int y) {
    s_.places[size_t(y)].kind = Kind::alias;
    s_.places[size_t(y)].alias = x;
    layouts_[size_t(y)] = layouts_[size_t(x)];
    keep_pixels(x, y);
    return true;
  }

  bool flatten(int x, int y) {
    if (layouts_[size_t(x)] == Layout::plain) return alias(x, y);
    if (image(x).rank() == 4 && image(y).rank() == 2) {
      alias(x, y);
      pixels_of_[y] = image(x);
      return true;
    }
    alias(as(x, Layout::plain), y);
    layouts_[size_t(y)] = Layout::plain;  // what one channel is in both
    return true;
  }

  bool dense(const GraphNode& node, bool residual) {
    const int x = node.inputs[0], y = node.outputs[0];
    if (image(x).rank() != 2 || !known_f32(node.inputs[1]) || !known_f32(node.inputs[2]))
      return false;
    DenseSpec spec;
    spec.weight = known(node.inputs[1]);
    spec.bias = known(node.inputs[2]);
    spec.relu = node.attrs.integer("relu", 0);
    std::vector<int> inputs{x};
    if (residual) inputs.push_back(spec.residual = as(node.inputs[3], Layout::plain));
    if (const auto pixels = pixels_of_.find(x);
        pixels != pixels_of_.end() && layouts_[size_t(x)] == Layout::nhwc)
      spec.weight = in_pixel_order(spec.weight, pixels->second);
    StepPtr step = sparse_.dense_layers ? sparse_or_dense_step(spec, timing_, sparse_.one_image)
                                        : dense_step(spec);
    s_.sparse_dense = s_.sparse_dense || step->zeros == ZerosUse::sparse;
    emit(std::move(step), node.name, std::move(inputs), y, Layout::plain);
    return true;
  }

  // Columns (c, h, w) put into the order (h, w, c).
  static Tensor in_pixel_order(const Tensor& w, const Shape& image) {
    const Tensor out = Tensor::empty(w.shape());
    const int64_t c = image[1], pixels = image[2] * image[3], in = w.size(1);
    for (int64_t o = 0; o < w.size(0); ++o)
      for (int64_t k = 0; k < c; ++k)
        for (int64_t p = 0; p < pixels; ++p)
          out.data<float>()[o * in + p * c + k] = w.data<float>()[o * in + k * pixels + p];
    return out;
  }

  bool conv(const GraphNode& node, bool residual) {
    const int y = node.outputs[0];
    const bool bias = node.inputs.size() > 2;
    if (!known_f32(node.inputs[1]) || (bias && !known_f32(node.inputs[2]))) return false;
    ConvSpec spec;
    spec.weight = known(node.inputs[1]);
    spec.bias = bias ? known(node.inputs[2]) : Tensor::zeros({spec.weight.size(0)});
    spec.x = image(node.inputs[0]);
    spec.y = image(y);
    spec.stride = node.attrs.integer("stride");
    spec.padding = node.attrs.integer("padding");
    spec.dilation = node.attrs.integer("dilation");
    spec.groups = node.attrs.integer("groups");
    spec.relu = node.attrs.integer("relu", 0);
    spec.winograd = winograd_;
    if (residual) spec.residual = node.inputs[3];
    ConvChoice choice;
    if (tries_sparse(spec.weight))
      choice = choose_conv(spec,
                           {.x_plain = lies(node.inputs[0], Layout::plain),
                            .residual_nhwc = residual && !lies(spec.residual, Layout::plain),
                            .y_nhwc = wanted_nhwc(y)},
                           timing_);
    const Layout layout = choice.form ? Layout::plain : Layout::nhwc;
    s_.sparse_conv = s_.sparse_conv || choice.form;
    std::vector<int> inputs{as(node.inputs[0], layout)};
    if (residual) inputs.push_back(spec.residual = as(node.inputs[3], layout));
    StepPtr step = choice.form ? sparse_conv_step(spec, *choice.form) : conv_step(spec);
    step->kernel += choice.why;
    step->zeros = choice.zeros;
    emit(std::move(step), node.name, std::move(inputs), y, layout);
    return true;
  }

  bool tries_sparse(const Tensor& conv_weight) const {
    return sparse_.convolutions && worth_trying_sparse(conv_weight);
  }

  bool lies(int v, Layout layout) const {
    return layouts_[size_t(v)] == layout || converted_.count({v, layout}) > 0;
  }

  // Whether a reader of `v`, maybe behind steps that keep the layout, will run on nhwc: a
  // convolution without zeros enough for a sparse form.
  bool wanted_nhwc(int v) {
    const auto known = wanted_nhwc_.find(v);
    if (known != wanted_nhwc_.end()) return known->second;
    return wanted_nhwc_[v] = some_reader_wants_nhwc(v);
  }
  bool some_reader_wants_nhwc(int v) {
    for (const int reader : g_.consumers(v)) {
      const GraphNode& node = g_.nodes[size_t(reader)];
      const std::string_view op = node.op->name;
      if (op == "conv2d" || op == "conv2d_add") {
        if (!known_f32(node.inputs[1]) || !tries_sparse(known(node.inputs[1]))) return true;
      } else if (keeps_layout(op) && wanted_nhwc(node.outputs[0])) {
        return true;
      }
    }
    return false;
  }
  static bool keeps_layout(std::string_view op) {
    return op == "relu" || op == "add" || op == "max_pool2d" || op == "avg_pool2d" ||
           op == "slice" || op == "pad" || op == "dropout";
  }

  bool pool(const GraphNode& node, Pool kind) {
    const int y = node.outputs[0];
    const Layout layout = layout_behind(node);
    const int x = as(node.inputs[0], layout);
    const auto make = layout == Layout::plain ? plain_pool_step : pool_step;
    emit(make(kind, image(x), image(y), node.attrs.integer("kernel", 0),
              node.attrs.integer("stride", 0)),
         node.name, {x}, y, kind == Pool::global_average ? Layout::plain : layout);
    return true;
  }

  // A step that can keep the layout keeps plain images plain unless a reader wants them nhwc.
  Layout layout_behind(const GraphNode& node) {
    const bool plain = layouts_[size_t(node.inputs[0])] == Layout::plain;
    return plain && !wanted_nhwc(node.outputs[0]) ? Layout::plain : Layout::nhwc;
  }

  bool add(const GraphNode& node) {
    const int a = node.inputs[0], y = node.outputs[0];
    const int b = node.inputs[1];
    if (!batched(b) || !(image(a) == image(b))) return false;
    // Both plain unless both are images already.
    const Layout layout = image(a).rank() == 4 ? layouts_[size_t(a)] : Layout::plain;
    const int left = as(a, layout);
    emit(add_step(image(y).elements(), false), node.name, {left, as(b, layout)}, y, layout);
    return true;
  }

  // slice by a spatial stride, or pad with zero channels behind.
  bool shortcut(const GraphNode& node) {
    const int x = node.inputs[0], y = node.outputs[0];
    const auto all_zero = [](const Ints& v) {
      return std::all_of(v.values, v.values + v.count, [](int64_t i) { return i == 0; });
    };
    int64_t stride = 1;
    if (node.op->name == std::string_view("slice")) {
      const Ints& step = node.attrs.ints("step");
      stride = step[2];
      if (!all_zero(node.attrs.ints("begin")) || step[0] != 1 || step[1] != 1 ||
          step[2] != step[3] || image(y)[1] != image(x)[1] ||
          image(y)[2] != (image(x)[2] + stride - 1) / stride ||
          image(y)[3] != (image(x)[3] + stride - 1) / stride)
        return false;
    } else {
      const Ints& after = node.attrs.ints("after");
      if (!all_zero(node.attrs.ints("before")) || after[0] || after[2] || after[3] ||
          node.attrs.real("value", 0) != 0)
        return false;
    }
    const Layout layout = layout_behind(node);
    const int in = as(x, layout);
    const auto make = layout == Layout::plain ? plain_shortcut_step : shortcut_step;
    emit(make(image(in), image(y), stride), node.name, {in}, y, layout);
    return true;
  }

  void fallback(const GraphNode& node) {
    std::vector<int> inputs;
    std::vector<Tensor> known_inputs;
    bool images = per_image(node);
    for (const int v : node.inputs) {
      inputs.push_back(as(v, Layout::plain));
      known_inputs.push_back(known(v));
      check_size(node, v);
      images = images && (known(v).defined() || one_row_an_image(v));
    }
    // An op of several outputs runs once for each that is read.
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const int y = node.outputs[i];
      if (i > 0 && y != g_.outputs.front() && g_.consumers(y).empty()) continue;
      check_size(node, y);
      images = images && one_row_an_image(y);
      emit(graph_step(g_, node, i, known_inputs), node.name, inputs, y, Layout::plain);
    }
    s_.fallbacks.push_back(node.name + " (" + node.op->name + ")");
    s_.splits = s_.splits && images;
  }
  void check_size(const GraphNode& node, int v) const {
    const unsigned symbolic = g_.values[size_t(v)].shape.symbolic;
    check((symbolic & (symbolic - 1)) == 0, ErrorCode::bad_input,
          "compile: '{}' has a value whose size grows with the square of the batch", node.name);
  }
  bool one_row_an_image(int v) const {
    const Ints& shape = g_.values[size_t(v)].shape;
    return shape.size() > 1 && shape.symbolic == 1 && shape[0] == 1;
  }
  static bool per_image(const GraphNode& node) {
    const Op& op = *node.op;
    return (op.per_image || op.coupling == Coupling::elementwise ||
            op.coupling == Coupling::producer) &&
           node.attrs.integer("axis", 1) != 0;
  }

  // The result, in plain order, in bytes of its own.
  void finish(int value) {
    int v = as(value, Layout::plain);
    if (s_.places[size_t(v)].kind != Kind::arena || v == g_.input) {
      const int copy = new_value(v, "/result");
      check(g_.values[size_t(v)].shape.symbolic == 1, ErrorCode::bad_input,
            "compile: the output '{}' does not depend on the input", g_.values[size_t(v)].name);
      emit(copy_step(s_.places[size_t(v)].bytes), g_.values[size_t(copy)].name, {v}, copy,
           Layout::plain);
      v = copy;
    }
    s_.places[size_t(v)].kind = Kind::output;
    s_.output = v;
    s_.output_shape = g_.values[size_t(value)].shape;
    s_.output_dtype = g_.values[size_t(value)].dtype;
    if (!(s_.output_shape.symbolic & 1) || s_.output_shape[0] != 1) s_.splits = false;
  }

  Graph g_;
  Plan::State& s_;
  SparseUse sparse_;
  bool winograd_;
  const Timing& timing_;
  std::vector<Tensor> known_;  // by value: what is known at compile time
  std::vector<Layout> layouts_;
  std::vector<Shape> images_;       // shape at one image
  std::map<int, Shape> pixels_of_;  // flattened values in pixel order: the image they were
  std::map<std::pair<int, Layout>, int> converted_;
  std::map<int, bool> wanted_nhwc_;
};

}  // namespace

plan::StatePtr plan::build_plan(const Graph& graph, SparseUse sparse, bool winograd,
                                const Timing& timing) {
  auto state = std::make_unique<Plan::State>();
  Compiler(graph.clone(), *state, sparse, winograd, timing).run();
  return state;
}

Plan compile(const Graph& graph, const PlanOptions& options) {
  graph.verify();
  const RecorderScope unrecorded(nullptr);
  Graph g = graph.clone();
  fold_batch_norm(g);
  fuse_activation(g);
  fuse_residual(g);
  fuse_activation(g);
  const Timing by_clock, &timing = options.timing ? *options.timing : by_clock;
  const auto make = [&](SparseUse sparse) {
    return build_plan(g, sparse, options.winograd, timing);
  };
  return Plan(options.sparse ? quickest_plan(make, timing) : make(dense_alone));
}

}  // namespace pare
