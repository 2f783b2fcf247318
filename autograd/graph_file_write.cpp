#include <cmath>

#include "autograd/graph_file.h"
#include "autograd/graph_file_words.h"
#include "autograd/mask_code.h"
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

void add_mask(ContainerWriter& writer, const std::string& name, const MaskCode& code) {
  writer.add(name + (code.gaps ? ":gaps" : ":mask"), code.bytes);
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

// A constant of bytes that are mostly zero (a pruned integer weight) as mask and kept elements,
// where that is smaller; any other as it is. Returns which.
bool write_sparse(ContainerWriter& writer, const Tensor& constant, const std::string& name) {
  const Tensor t = constant.to(Device{}).plain();
  if (t.dtype() == DType::i8) {
    const Tensor mask = Tensor::empty(t.shape(), DType::u8);
    for (int64_t i = 0; i < t.elements(); ++i) mask.data<uint8_t>()[i] = t.data<int8_t>()[i] != 0;
    const Tensor kept = kept_elements<int8_t>(t, mask);
    const MaskCode code = encode_mask(mask);
    if (kept.bytes() + code.bytes.bytes() < t.bytes()) {
      add_mask(writer, name, code);
      writer.add(name + ":kept", kept);
      return true;
    }
  }
  writer.add(name, t);
  return false;
}

struct ParamCollector : Visitor {
  std::vector<std::pair<std::string, Param>> params;
  void operator()(const std::string& name, Param& p) override { params.emplace_back(name, p); }
  void operator()(const std::string&, Buffer&) override {}
  void operator()(const std::string&, Module&) override {}
};

// Everything of a parameter but its value's tensor, which stands under `tensor_name`.
Json write_param(ContainerWriter& writer, const Param& param, const std::string& tensor_name,
                 bool slots) {
  const ParamState& s = param.state();
  Json out = {{"decay", s.decay}};
  const Tensor value = s.value.to(Device{}).plain(), mask = s.mask.to(Device{}).plain();
  if (s.mask_kind != MaskKind::none) {
    out["mask"] = to_word(masks, s.mask_kind);
    add_mask(writer, tensor_name, encode_mask(mask));
  }
  if (s.mask_kind == MaskKind::frozen) {  // zeros are known: only the rest is stored
    writer.add(tensor_name + ":kept", value.dtype() == DType::f64
                                          ? kept_elements<double>(value, mask)
                                          : kept_elements<float>(value, mask));
  } else {
    writer.add(tensor_name, value);
  }
  for (const auto& [slot, tensor] : s.slots)
    if (slots) {
      out["slots"].push_back(slot);
      writer.add(tensor_name + ":slot:" + slot, tensor);
    }
  if (slots && s.steps > 0) out["steps"] = s.steps;
  for (const auto& transform : s.transforms) {
    ParamCollector own;
    transform->visit(own);
    Json entry = {{"kind", transform->kind()}, {"params", Json::array()}};
    const std::string base =
        tensor_name + ":transform" + std::to_string(out.value("transforms", Json::array()).size());
    for (const auto& [name, p] : own.params) {
      Json inner = write_param(writer, p, base + ":" + name, slots);
      inner["name"] = name;
      inner["shape"] = to_json(Ints(p.value().shape().data(), p.value().rank()));
      entry["params"].push_back(std::move(inner));
    }
    out["transforms"].push_back(std::move(entry));
  }
  return out;
}

}  // namespace

void add_graph(ContainerWriter& writer, const Graph& graph, const GraphFileOptions& options) {
  graph.verify();
  Json values = Json::array(), nodes = Json::array(), buffers = Json::array(),
       metadata = Json::object();
  for (const GraphValue& v : graph.values) {
    Json entry = Json::object();
    if (v.kind == ValueKind::param)
      entry = write_param(writer, v.param, options.prefix + v.name, options.slots);
    if (v.kind == ValueKind::constant && write_sparse(writer, v.constant, options.prefix + v.name))
      entry["sparse"] = true;
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
  const Json j = {{"version", graph_version}, {"input", graph.input}, {"outputs", graph.outputs},
                  {"values", values},         {"nodes", nodes},       {"buffers", buffers},
                  {"metadata", metadata}};
  try {
    writer.set_metadata(options.prefix + graph_key, to_text(j));
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorCode::usage, "save: a name or text of the model is not UTF-8: {}", e.what());
  }
}

void save_graph(const Graph& graph, const std::string& path) {
  ContainerWriter writer;
  add_graph(writer, graph);
  for (const char* key : {"model", "data", "classes", "preprocessing"})  // for other readers
    if (const std::string value = graph.get_metadata(key); !value.empty())
      writer.set_metadata(key, value);
  writer.write(path);
}

}  // namespace pare
