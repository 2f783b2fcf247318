// pare summary MODEL|FILE
#include "tools/summary.h"

#include "autograd/graph_dot.h"
#include "autograd/graph_summary.h"
#include "compress/prune/structured/channel_groups.h"
#include "layers/zoo.h"

namespace pare::tool {
namespace {

Json to_json(const GraphSummary& s, int64_t bytes) {
  Json layers = Json::array();
  for (const NodeSummary& n : s.nodes)
    layers.push_back({{"name", n.name},
                      {"op", n.op},
                      {"output", std::vector<int64_t>(n.output.begin(), n.output.end())},
                      {"params", n.params},
                      {"nonzero", n.nonzero},
                      {"sparsity", n.params ? 1 - double(n.nonzero) / double(n.params) : 0.0},
                      {"bits", n.bits},
                      {"macs", n.macs}});
  return {{"params", s.params},
          {"nonzero", s.nonzero},
          {"macs", s.macs},
          {"effective_macs", s.effective_macs},
          {"weight_bytes", s.weight_bytes},
          {"file_bytes", bytes},
          {"layers", layers}};
}

std::string table(const GraphSummary& s) {
  std::string text = fmt::format("{:<28} {:<18} {:>14} {:>10} {:>10} {:>5} {:>12}\n", "layer", "op",
                                 "output", "params", "nonzero", "bits", "MACs");
  for (const NodeSummary& n : s.nodes)
    text += fmt::format("{:<28} {:<18} {:>14} {:>10} {:>10} {:>5} {:>12}\n", n.name, n.op,
                        to_string(n.output), n.params, n.nonzero,
                        n.bits ? std::to_string(n.bits) : "-", n.macs);
  return text + fmt::format("{:<28} {:<18} {:>14} {:>10} {:>10} {:>5} {:>12}", "total", "", "",
                            s.params, s.nonzero, "", s.macs);
}

struct SummaryCommand {
  CommonOptions common;
  std::string model, dot;
  bool channels = false;

  // The network for ten classes of images of its usual shape; needs no data.
  Graph usual(const std::string& name) const {
    const ImageShape image = default_data(name) == "cifar10" ? ImageShape{3, 32, 32} : ImageShape{};
    const auto net = make_model(name, image, 10, common.seed);
    return capture(*net, Tensor::zeros({1, image.channels, image.height, image.width}));
  }

  Graph stored() const {
    common.refuse({"--data", "--data-dir", "--axes", "--pixel-range", "--seed"},
                  "the summary of a file");
    return open_model(model);
  }
  Graph named() const {
    check_model_name(model);
    common.refuse({"--seed"}, "a summary, which is of no weights in particular");
    if (!common.data.empty()) common.check_data_dir(common.data);
    if (!common.data.empty())
      return new_model(model, load_dataset(common.data, dataset_options(common)), common.seed);
    common.refuse({"--data-dir", "--axes", "--pixel-range"}, "a summary without --data");
    return usual(model);
  }

  void run() {
    common.apply();
    Graph graph = names_file(model) ? stored() : named();
    run_files().writes(dot, "--dot", FileKind::dot);
    if (!dot.empty()) write_text(dot, to_dot(graph));
    const GraphSummary s = summarize(graph);
    const int64_t bytes = file_bytes(model);
    Json json = to_json(s, bytes);
    std::string text =
        table(s) + fmt::format("\nweights {}{}", human_bytes(double(s.weight_bytes)),
                               bytes ? ", file " + human_bytes(double(bytes)) : std::string());
    if (channels) {
      const ChannelAnalysis analysis = find_channel_groups(graph);
      json["groups"] = Json::array();
      for (const ChannelGroup& g : analysis.groups)
        json["groups"].push_back({{"name", g.name}, {"channels", g.channels()}});
      json["whole"] = Json::array();
      for (const KeptChannels& k : analysis.kept)
        json["whole"].push_back({{"name", k.name}, {"channels", k.channels}, {"why", k.why}});
      text += "\n\n" + describe(graph, analysis);
    }
    print_result(common, json, text);
  }
};

}  // namespace

std::string layer_table(Graph& graph) { return table(summarize(graph)); }

void add_summary(CLI::App& app) {
  auto* command =
      app.add_subcommand("summary", "layers, shapes, parameters, nonzeros, MACs, bytes");
  command->footer("Example: pare summary lenet5");
  auto o = std::make_shared<SummaryCommand>();
  command->add_option("model", o->model, "a named model or a file")->required();
  command->add_option("--dot", o->dot, "write a picture of the graph here (Graphviz DOT)");
  command->add_flag("--channels", o->channels,
                    "the groups of channels that prune --structure channel can thin");
  add_common(*command, o->common, with_data | with_seed);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
