#include <algorithm>
#include <cmath>

#include "autograd/graph_file.h"
#include "autograd/graph_file_words.h"
#include "autograd/mask_cover.h"
#include "core/json.h"

namespace pare {
namespace {

using namespace graph_file;

// The elements a mask keeps, in order.
template <class T>
Tensor kept_elements(const Tensor& value, const Tensor& mask) {
  std::vector<T> kept;
  for (int64_t i = 0; i < value.elements(); ++i)
    if (mask.data<uint8_t>()[i]) kept.push_back(value.data<T>()[i]);
  return Tensor::from(kept, {int64_t(kept.size())});
}

Json to_json(const Ints& ints) {
  return {{"list", std::vector<int64_t>(ints.values, ints.values + ints.count)},
          {"symbolic", int(ints.symbolic)}};
}

Json to_json(const Attrs& attrs) {
  Json out = Json::object();
  for (const Attrs::Entry& e : attrs) {
    if (e.kind == Attrs::Kind::integer) out[e.name] = e.integer;
    if (e.kind == Attrs::Kind::ints) out[e.name] = to_json(e.ints);
    if (e.kind == Attrs::Kind::real) {
      check(!std::isnan(e.real), "save: the attribute '{}' is NaN", e.name);
      if (std::isfinite(e.real))
        out[e.name] = e.real;
      else
        out[e.name] = e.real > 0 ? "inf" : "-inf";  // for which JSON has no number
    }
  }
  return out;
}

struct ParamCollector : Visitor {
  std::vector<std::pair<std::string, Param>> params;
  void operator()(const std::string& name, Param& p) override { params.emplace_back(name, p); }
  void operator()(const std::string&, Buffer&) override {}
  void operator()(const std::string&, Module&) override {}
};

// Tensors of one graph, with what their JSON says of them.
class Writer {
 public:
  Writer(ContainerWriter& file, const GraphFileOptions& options) : file_(file), options_(options) {}

  // The first that knows the codes of all masks.
  int version() const { return version_; }

  // A constant of bytes that are mostly zero (a pruned integer weight) as mask and kept elements,
  // where that is smaller; any other as it is. What there is to say of it.
  Json constant(const Tensor& constant, const std::string& value_name) {
    const std::string name = options_.prefix + value_name;
    const Tensor t = constant.to(Device{}).plain();
    if (t.dtype() == DType::i8) {
      const Tensor nonzero = Tensor::empty(t.shape(), DType::u8);
      for (int64_t i = 0; i < t.elements(); ++i)
        nonzero.data<uint8_t>()[i] = t.data<int8_t>()[i] != 0;
      const size_t spread = t.bytes() + nonzero.bytes();
      const CoveredMask cover =
          granted(spread) ? cover_mask(nonzero, 1) : CoveredMask{nonzero, encode_as_bits(nonzero)};
      const Tensor kept = kept_elements<int8_t>(t, cover.mask);
      if (kept.bytes() + cover.code.bytes.bytes() < t.bytes()) {
        Json out = {{"sparse", true}};
        add_mask(out, name, cover.code, spread);
        file_.add(name + ":kept", kept);
        return out;
      }
    }
    file_.add(name, t);
    return Json::object();
  }

  Json param(const Param& p, const std::string& name) {
    return param_at(p, options_.prefix + name);
  }

 private:
  // Everything of a parameter but its value's tensor, which stands under `name`.
  Json param_at(const Param& param, const std::string& name) {
    const ParamState& s = param.inner();
    Json out = {{"decay", s.decay}};
    const Tensor value = s.value.to(Device{}).plain(), mask = s.mask.to(Device{}).plain();
    const bool frozen =
        s.mask_kind == MaskKind::frozen;  // zeros are known: only the rest is stored
    const Tensor stored = !frozen                       ? value
                          : value.dtype() == DType::f64 ? kept_elements<double>(value, mask)
                                                        : kept_elements<float>(value, mask);
    if (s.mask_kind != MaskKind::none) {
      out["mask"] = to_word(masks, s.mask_kind);
      const size_t spread = mask.bytes() + (frozen ? value.bytes() : 0);
      add_mask(out, name,
               granted(spread) ? encode_mask(mask, int64_t(stored.bytes())) : encode_as_bits(mask),
               spread);
    }
    file_.add(frozen ? name + ":kept" : name, stored);
    if (options_.slots) {
      for (const auto& [slot, tensor] : s.slots) {
        out["slots"].push_back(slot);
        file_.add(name + ":slot:" + slot, tensor);
      }
      if (s.steps > 0) out["steps"] = s.steps;
    }
    for (size_t i = 0; i < s.transforms.size(); ++i)
      out["transforms"].push_back(
          transform(*s.transforms[i], name + ":transform" + std::to_string(i)));
    return out;
  }

  Json transform(Transform& transform, const std::string& name) {
    ParamCollector own;
    transform.visit(own);
    Json out = {{"kind", transform.kind()}, {"params", Json::array()}};
    for (const auto& [inner_name, p] : own.params) {
      Json inner = param_at(p, name + ":" + inner_name);
      inner["name"] = inner_name;
      inner["shape"] = to_json(Ints(p.value().shape().data(), p.value().rank()));
      out["params"].push_back(std::move(inner));
    }
    return out;
  }

  // Whether a reader grants `spread` bytes more to masks that do not lie as bits, and to the
  // elements behind them, once they are back in their places.
  bool granted(size_t spread) const { return spread_bytes_ + spread <= options_.spread_bytes; }
  void add_mask(Json& out, const std::string& name, const MaskCode& code, size_t spread) {
    if (!code.plain_bits()) spread_bytes_ += spread;
    version_ = std::max(version_, code.in_matrix_order() ? 3 : code.gaps ? 2 : 1);
    if (code.tiles()) out["tiles"] = {code.tile_rows, code.tile_columns};
    if (code.runs()) out["runs"] = {code.keep, code.of};
    file_.add(name + suffix(code), code.bytes);
  }

  ContainerWriter& file_;
  const GraphFileOptions& options_;
  size_t spread_bytes_ = 0;
  int version_ = 1;
};

}  // namespace

void add_graph(ContainerWriter& writer, const Graph& graph, const GraphFileOptions& options) {
  graph.verify();
  Writer to(writer, options);
  Json values = Json::array(), nodes = Json::array(), buffers = Json::array(),
       metadata = Json::object();
  for (const GraphValue& v : graph.values) {
    Json entry = Json::object();
    if (v.kind == ValueKind::param) entry = to.param(v.param, v.name);
    if (v.kind == ValueKind::constant) entry = to.constant(v.constant, v.name);
    entry["name"] = v.name;
    entry["kind"] = to_word(kinds, v.kind);
    entry["dtype"] = to_word(dtypes, v.dtype);
    entry["shape"] = to_json(v.shape);
    values.push_back(std::move(entry));
  }
  for (const GraphNode& n : graph.nodes) {
    nodes.push_back({{"op", n.op->name},
                     {"version", n.op->version},
                     {"name", n.name},
                     {"inputs", n.inputs},
                     {"outputs", n.outputs},
                     {"buffers", n.buffers},
                     {"attrs", to_json(n.attrs)}});
    if (*n.op->plugin) nodes.back()["plugin"] = n.op->plugin;
  }
  for (const GraphBuffer& b : graph.buffers) {
    buffers.push_back(b.name);
    writer.add(options.prefix + b.name, b.buffer.value());
  }
  for (const auto& [key, value] : graph.metadata) metadata[key] = value;
  const Json j = {{"version", to.version()}, {"input", graph.input}, {"outputs", graph.outputs},
                  {"values", values},        {"nodes", nodes},       {"buffers", buffers},
                  {"metadata", metadata}};
  try {
    writer.set_metadata(options.prefix + graph_key, to_text(j));
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::usage, "save: a name or text of the model is not UTF-8: {}", e.what());
  }
}

namespace {

ContainerWriter model_file(const Graph& graph) {
  ContainerWriter writer;
  add_graph(writer, graph);
  for (const char* key : {"model", "data", "classes", "preprocessing"})  // for other readers
    if (const std::string value = graph.get_metadata(key); !value.empty())
      writer.set_metadata(key, value);
  return writer;
}

}  // namespace

void save_graph(const Graph& graph, const std::string& path) { model_file(graph).write(path); }
uint64_t saved_bytes(const Graph& graph) { return model_file(graph).file_bytes(); }

}  // namespace pare
