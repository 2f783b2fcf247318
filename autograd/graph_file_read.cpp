#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "autograd/graph_file.h"
#include "autograd/graph_file_words.h"
#include "core/json.h"

namespace pare {
namespace {

using namespace graph_file;

constexpr size_t most_nodes = 100000;
// What the activations of a loaded graph at batch 1 or 2 may take, and again its sparse weights:
// enough for networks on large images, and little enough that a small file cannot ask for all the
// memory there is.
int64_t granted_bytes(uint64_t file_bytes) {
  return int64_t(GraphFileOptions().spread_bytes) +
         16 * int64_t(std::min(file_bytes, uint64_t(1) << 50));
}

std::map<std::string, TransformMaker>& transform_makers() {
  static auto* makers = new std::map<std::string, TransformMaker>;
  return *makers;
}
std::mutex transform_mutex;

// Elements a mask keeps, back in their places, with zeros elsewhere.
template <class T>
Tensor spread_elements(const Tensor& kept, const Tensor& mask) {
  const Tensor value = Tensor::zeros(mask.shape(), kept.dtype());
  const T* from = kept.data<T>();
  for (int64_t i = 0; i < mask.elements(); ++i)
    if (mask.data<uint8_t>()[i]) value.data<T>()[i] = *from++;
  return value;
}

// Fields of a JSON object with errors that name file and place.
class Reader {
 public:
  Reader(const Container& file, std::string prefix) : file_(file), prefix_(std::move(prefix)) {}

  template <class... Args>
  void need(bool ok, std::string_view what, const Args&... args) const {
    if (!ok) fail(ErrorCode::bad_input, "{}: {}", file_.name(), message(what, args...));
  }
  const Json& field(const Json& object, const char* name) const {
    need(object.is_object() && object.contains(name), "the graph lacks '{}'", name);
    return object.at(name);
  }
  std::string text(const Json& object, const char* name) const {
    const Json& j = field(object, name);
    need(j.is_string(), "'{}' in the graph is no text", name);
    return j.get<std::string>();
  }
  int64_t integer(const Json& object, const char* name, int64_t low, int64_t high) const {
    return integer(field(object, name), low, high, name);
  }
  int64_t integer(const Json& j, int64_t low, int64_t high, const char* name) const {
    need(j.is_number_integer() &&
             (!j.is_number_unsigned() || j.get<uint64_t>() <= uint64_t(INT64_MAX)),
         "'{}' in the graph is no integer", name);
    const int64_t v = j.get<int64_t>();
    need(v >= low && v <= high, "'{}' in the graph is {}, expected {}..{}", name, v, low, high);
    return v;
  }
  const Json& list(const Json& object, const char* name, size_t most) const {
    const Json& j = field(object, name);
    need(j.is_array() && j.size() <= most, "'{}' in the graph is no list of at most {}", name,
         most);
    return j;
  }
  template <class E, size_t n>
  E word(const Word<E> (&words)[n], const Json& object, const char* name) const {
    const std::string t = text(object, name);
    for (const auto& w : words)
      if (t == w.text) return w.value;
    fail(ErrorCode::bad_input, "{}: '{}' in the graph is '{}', which this program does not know",
         file_.name(), name, t);
  }
  std::vector<int> ids(const Json& object, const char* name, size_t count, size_t most) const {
    std::vector<int> out;
    for (const Json& j : list(object, name, most))
      out.push_back(int(integer(j, 0, int64_t(count) - 1, name)));
    return out;
  }
  Ints ints(const Json& j, const char* name) const {
    Ints out;
    for (const Json& v : list(j, "list", Ints::capacity))
      out.values[out.count++] = integer(v, INT64_MIN, INT64_MAX, name);
    out.symbolic = uint8_t(integer(j, "symbolic", 0, (1 << out.count) - 1));
    return out;
  }
  // A shape without symbolic extents whose elements can be counted.
  Shape shape(const Ints& ints, const std::string& name) const {
    Shape out;
    int64_t elements = 1;
    // Of a mask a byte stands for 256 elements at most (mask_code.h).
    const int64_t most = 256 * int64_t(file_.file_bytes());
    for (int i = 0; i < ints.size(); ++i) {
      need(ints[i] >= 0 && ints[i] <= most && !(ints.symbolic >> i & 1) &&
               !__builtin_mul_overflow(elements, ints[i], &elements) && elements <= most,
           "the shape of '{}' does not fit a file of {} bytes", name, file_.file_bytes());
      out.push_back(ints[i]);
    }
    return out;
  }
  Attrs attrs(const Json& j) const {
    Attrs out;
    need(j.is_object() && j.size() <= size_t(Attrs::capacity), "a node with unreadable attributes");
    for (const auto& [name, v] : j.items()) {
      if (v.is_number_float())
        out.set(intern(name), v.get<double>());
      else if (v.is_string() && (v == "inf" || v == "-inf"))
        out.set(intern(name), v == "inf" ? HUGE_VAL : -HUGE_VAL);
      else if (v.is_object())
        out.set(intern(name), ints(v, "attribute"));
      else
        out.set(intern(name), integer(v, INT64_MIN, INT64_MAX, "attribute"));
    }
    return out;
  }
  Tensor tensor(const std::string& name, DType dtype, const Shape* shape) const {
    const Tensor t = file_.tensor(prefix_ + name);
    need(t.dtype() == dtype && (!shape || t.shape() == *shape),
         "the tensor '{}' is {} {}, expected {} {}", name, t.dtype(), t.shape(), dtype,
         shape ? to_string(*shape) : std::string());
    return t;
  }
  // How the mask of `name` lies, as the tensor's JSON says.
  MaskCode mask_code(const Json& j, const std::string& name) const {
    const auto pair = [&](const char* field) {
      const Json& two = list(j, field, 2);
      need(two.size() == 2, "'{}' of '{}' are no two numbers", field, name);
      return std::pair{int(integer(two[0], 0, INT32_MAX, field)),
                       int(integer(two[1], 0, INT32_MAX, field))};
    };
    MaskCode code{.gaps = has(name + ":gaps")};
    const bool runs = has(name + ":runs");
    need(has(name + ":mask") + code.gaps + runs <= 1, "'{}' has two masks, in different codes",
         name);
    need(runs == j.contains("runs") && !(runs && j.contains("tiles")),
         "the mask of '{}' is in another code than the graph says", name);
    if (runs) std::tie(code.keep, code.of) = pair("runs");
    if (j.contains("tiles")) std::tie(code.tile_rows, code.tile_columns) = pair("tiles");
    code.bytes = tensor(name + suffix(code), DType::u8, nullptr);
    return code;
  }
  // The mask of a tensor of which the file holds `stored` bytes, with elements of `element_bytes`
  // where the mask keeps, or, with 0, all.
  Tensor stored_mask(const Json& j, const std::string& name, const Shape& shape, size_t stored,
                     size_t element_bytes) const {
    const MaskCode code = mask_code(j, name);
    if (!code.plain_bits()) {
      // A few bytes stand for many elements, here alone; a file that lies must not fill the memory.
      spread_bytes_ += shape.elements() * int64_t(1 + element_bytes);
      const int64_t most = granted_bytes(file_.file_bytes());
      need(spread_bytes_ <= most,
           "its sparse tensors would take {} bytes and more, expected up to {}", spread_bytes_,
           most);
    }
    const auto mask = decode_mask(code, shape, int64_t(stored));
    need(mask.has_value(), "'{}{}' is no mask of the {} elements of {}", name, suffix(code),
         shape.elements(), shape);
    return *mask;
  }
  bool has(const std::string& name) const { return file_.has(prefix_ + name); }
  Tensor stored_elements(const std::string& name) const {
    return file_.tensor(prefix_ + name + ":kept");
  }
  void need_as_many(const Tensor& kept, const Tensor& mask, const std::string& name) const {
    const auto* m = mask.data<uint8_t>();
    const Shape expected{std::count(m, m + mask.elements(), uint8_t(1))};
    need(kept.shape() == expected, "'{}' stores {} elements, its mask keeps {}", name, kept.shape(),
         expected);
  }
  Tensor sparse_bytes(const Json& j, const std::string& name, const Shape& shape) const {
    const Tensor kept = stored_elements(name);
    need(kept.dtype() == DType::i8, "the sparse constant '{}' is {}, expected i8", name,
         kept.dtype());
    const Tensor mask = stored_mask(j, name, shape, kept.bytes(), 1);
    need_as_many(kept, mask, name);
    return spread_elements<int8_t>(kept, mask);
  }
  // The parameter stored under `name`; `shape` is what the graph says it has.
  Param param(const Json& j, const std::string& name, const Shape& shape) const {
    const bool has_mask = j.contains("mask");
    const MaskKind kind = has_mask ? word(masks, j, "mask") : MaskKind::none;
    Tensor mask, value;
    if (kind == MaskKind::frozen) {
      const Tensor kept = stored_elements(name);
      need(is_float(kept.dtype()), "the parameter '{}' is {}", name, kept.dtype());
      mask = stored_mask(j, name, shape, kept.bytes(), size_of(kept.dtype()));
      need_as_many(kept, mask, name);
      value = kept.dtype() == DType::f64 ? spread_elements<double>(kept, mask)
                                         : spread_elements<float>(kept, mask);
    } else {
      value = file_.tensor(prefix_ + name);
      need(is_float(value.dtype()) && value.shape() == shape,
           "the parameter '{}' is {} {}, the graph says {}", name, value.dtype(), value.shape(),
           shape);
      if (has_mask) mask = stored_mask(j, name, shape, value.bytes(), 0);
    }
    const Json& decay = field(j, "decay");
    need(decay.is_boolean(), "'decay' of '{}' is neither true nor false", name);
    Param p(value, decay.get<bool>());
    if (j.contains("slots"))
      for (const Json& slot : list(j, "slots", 8)) {
        need(slot.is_string(), "a slot of '{}' has no name", name);
        const auto slot_name = slot.get<std::string>();
        p.slot(slot_name) = tensor(name + ":slot:" + slot_name, value.dtype(), &value.shape());
      }
    if (j.contains("steps")) p.state().steps = integer(j, "steps", 0, INT64_MAX);
    if (has_mask) p.set_mask(mask, kind);
    if (j.contains("transforms"))
      for (const Json& t : list(j, "transforms", 8)) add_transform(p, t, name);
    return p;
  }

 private:
  void add_transform(Param& p, const Json& j, const std::string& name) const {
    const std::string kind = text(j, "kind");
    TransformMaker make = nullptr;
    {
      const std::lock_guard lock(transform_mutex);
      const auto it = transform_makers().find(kind);
      if (it != transform_makers().end()) make = it->second;
    }
    need(make != nullptr,
         "the parameter '{}' has a transform of kind '{}', which is not registered", name, kind);
    std::vector<std::pair<std::string, Param>> own;
    const std::string base = name + ":transform" + std::to_string(p.state().transforms.size());
    for (const Json& inner : list(j, "params", 8)) {
      const std::string inner_name = text(inner, "name");
      own.emplace_back(inner_name, param(inner, base + ":" + inner_name,
                                         shape(ints(field(inner, "shape"), "shape"), inner_name)));
    }
    p.state().transforms.push_back(make(own));
  }

  const Container& file_;
  std::string prefix_;
  mutable int64_t spread_bytes_ = 0;  // of tensors whose masks do not lie as bits
};

GraphValue read_value(const Reader& r, const Json& j) {
  GraphValue v;
  v.name = r.text(j, "name");
  v.kind = r.word(kinds, j, "kind");
  v.dtype = r.word(dtypes, j, "dtype");
  v.shape = r.ints(r.field(j, "shape"), "shape");
  const auto expect_shape = [&](const Tensor& t) {
    r.need(Ints(t.shape().data(), t.rank()) == v.shape && t.dtype() == v.dtype,
           "the tensor '{}' is {} {}, the graph says otherwise", v.name, t.dtype(), t.shape());
  };
  if (v.kind == ValueKind::param) {
    v.param = r.param(j, v.name, r.shape(v.shape, v.name));
    expect_shape(v.param.value());
  }
  if (v.kind == ValueKind::constant) {
    v.constant = j.contains("sparse") ? r.sparse_bytes(j, v.name, r.shape(v.shape, v.name))
                                      : r.tensor(v.name, v.dtype, nullptr);
    expect_shape(v.constant);
  }
  return v;
}

GraphNode read_node(const Reader& r, const Json& j, size_t values, size_t buffers) {
  GraphNode node;
  const std::string op = r.text(j, "op");
  node.op = find_op(op);
  if (!node.op) {
    std::vector<std::string_view> known;
    for (const Op* o : registered_ops()) known.push_back(o->name);
    const std::string plugin = j.contains("plugin") ? r.text(j, "plugin") : std::string();
    r.need(plugin.empty(), "uses the op '{}' of the plug-in {}; load it (pare: --plugin PATH/{})",
           op, plugin, plugin);
    r.need(false, "uses the op '{}', which is not known here{}; it may need a plug-in", op,
           suggest(op, known.data(), known.size()));
  }
  const int64_t version = r.integer(j, "version", 1, INT32_MAX);
  r.need(version <= node.op->version,
         "uses version {} of the op '{}'; this program knows up to {}: use a newer pare", version,
         op, node.op->version);
  node.name = r.text(j, "name");
  node.inputs = r.ids(j, "inputs", values, 16);
  node.outputs = r.ids(j, "outputs", values, size_t(max_outputs));
  node.buffers = r.ids(j, "buffers", buffers, 4);
  node.attrs = r.attrs(r.field(j, "attrs"));
  return node;
}

}  // namespace

void register_transform(const std::string& kind, TransformMaker make) {
  const std::lock_guard lock(transform_mutex);
  transform_makers()[kind] = make;
}

Graph read_graph(const Container& file, const std::string& prefix) {
  const Reader r(file, prefix);
  r.need(file.has_metadata(prefix + graph_key),
         "holds tensors but no graph; pare saves models with one");
  const Json j = parse_json(file.metadata(prefix + graph_key), file.name());
  const int64_t version = r.integer(j, "version", 1, INT32_MAX);
  r.need(version <= graph_version,
         "its graph has version {}, this program reads up to {}: use a newer pare", version,
         graph_version);
  Graph g;
  const Json &values = r.list(j, "values", most_nodes), &nodes = r.list(j, "nodes", most_nodes);
  for (const Json& v : values) g.values.push_back(read_value(r, v));
  for (const Json& b : r.list(j, "buffers", most_nodes)) {
    r.need(b.is_string(), "a buffer without a name");
    const auto name = b.get<std::string>();
    g.buffers.push_back({name, Buffer(file.tensor(prefix + name))});
  }
  for (const Json& n : nodes) g.nodes.push_back(read_node(r, n, values.size(), g.buffers.size()));
  g.input = int(r.integer(j, "input", 0, int64_t(values.size()) - 1));
  g.outputs = r.ids(j, "outputs", values.size(), 64);
  const Json& metadata = r.field(j, "metadata");
  r.need(metadata.is_object(), "metadata that is no object");
  for (const auto& [key, value] : metadata.items()) {
    r.need(value.is_string(), "the metadata '{}' is no text", key);
    g.set_metadata(key, value.get<std::string>());
  }
  try {
    g.verify_shapes(granted_bytes(file.file_bytes()));
  } catch (const Error& e) {
    if (e.code() == ErrorCode::io) throw;
    fail(ErrorCode::bad_input, "{}: {}", file.name(), e.what());
  }
  return g;
}

Graph load_graph(const std::string& path) { return read_graph(Container(path)); }

}  // namespace pare
