// pare sensitivity FILE: what each layer loses when it alone is pruned.
#include "compress/quantize/quantize.h"
#include "optim/interrupt.h"
#include "optim/progress.h"
#include "tools/command.h"
#include "tools/prune_sample.h"
#include "tools/sensitivity_picture.h"
#include "tools/usage.h"

namespace pare::tool {
namespace {

struct SensitivityCommand {
  CommonOptions common;
  std::string file, method = "magnitude", structure = "unstructured", svg;
  std::vector<double> sparsities;
  int64_t images = 2000;

  void run() {
    common.apply();
    SensitivityOptions options;
    if (!sparsities.empty()) options.sparsities = sparsities;
    std::sort(options.sparsities.begin(), options.sparsities.end());
    check(structure != "channel" && structure != "block",
          "--structure {}: sensitivity thins weights, by single ones, blocks (4x1) or N:M (2:4); "
          "pare prune removes channels and blocks of layers",
          structure);
    options.structure = parse_structure(structure);
    if (options.structure.is_n_of_m())
      common.refuse({"--sparsities"}, "--structure " + structure + ", which has one of its own");
    const auto criterion = make_criterion(method, common.seed);
    Graph graph = open_model(file);
    check_float(graph, file);
    run_files().writes(svg, "--svg", FileKind::svg);
    const Dataset data = open_data(common, graph);
    check(data.holdout > 0, ErrorCode::bad_input,
          "{} was trained on all of the training part: no images are left to judge on; train it "
          "with --holdout above 0",
          file);
    const Examples all = hold_out(data.train, data.holdout).held_out;
    note_excess(common, "--images", images, all.size(), "held-out images");
    if (method != "random") common.refuse({"--seed"}, "--method " + method);
    const Examples held_out = subset(all);
    if (criterion->needs_data()) criterion->prepare(graph, pruning_sample(data));
    const InterruptScope scope;
    Progress progress(common.quiet);
    options.progress = [&](int64_t done, int64_t of) {
      progress.live(
          [&] { return message("{} of {} evaluations on {} images", done, of, held_out.size()); });
      if (interrupted()) fail(ErrorCode::interrupted, "interrupted by a signal");
    };
    print(scan_sensitivity(graph, *criterion, held_out, data.preprocessing, options));
  }

 private:
  // The first of the held-out images: which those are, is fixed and without order.
  Examples subset(const Examples& all) const {
    std::vector<int64_t> indices(size_t(std::min(images, all.size())));
    for (size_t i = 0; i < indices.size(); ++i) indices[i] = int64_t(i);
    return all.slice(indices);
  }

  void print(const Sensitivity& scan) const {
    const std::string title =
        fmt::format("{}: accuracy on {} held-out images, one layer pruned ({}, {})",
                    file.substr(file.rfind('/') + 1), scan.examples, method, structure);
    if (!svg.empty()) write_text(svg, sensitivity_svg(scan, title));
    Json layers = Json::array();
    for (const LayerSensitivity& l : scan.layers)
      layers.push_back({{"name", l.name},
                        {"weights", l.elements},
                        {"sparsities", l.achieved},
                        {"accuracy", l.accuracy},
                        {"loss", l.loss},
                        {"tolerated", tolerated_sparsity(scan, l, tolerated_drop)}});
    Json json = {{"method", method},           {"structure", structure},
                 {"examples", scan.examples},  {"accuracy", scan.accuracy},
                 {"loss", scan.loss},          {"sparsities", scan.sparsities},
                 {"layers", std::move(layers)}};
    if (!svg.empty()) json["svg"] = svg;
    print_result(common, json,
                 fmt::format("{}; whole: {}\n\n{}\n\ntolerated: the highest of these sparsities up "
                             "to which at most {:g} points of accuracy are lost{}",
                             title, percent(scan.accuracy), sensitivity_table(scan),
                             100 * tolerated_drop, svg.empty() ? "" : "\nsaved " + svg));
  }
};

}  // namespace

void add_sensitivity(CLI::App& app) {
  auto* command = app.add_subcommand("sensitivity", "accuracy against sparsity, layer by layer");
  command->footer("Example: pare sensitivity lenet5.pare --structure 4x1 --svg lenet5.svg");
  auto o = std::make_shared<SensitivityCommand>();
  command->add_option("file", o->file, "model file")->required();
  command->add_option("--method", o->method, "how single weights are ranked, as pare prune has it");
  command->add_option("--structure", o->structure,
                      "what is removed: unstructured, blocks of rows x columns (4x1), N:M (2:4)");
  command->add_option("--sparsities", o->sparsities, "shares of zeros to try, 0..1")
      ->delimiter(',');
  command->add_option("--images", o->images, "held-out images to evaluate on, at most")
      ->check(between(1, INT64_MAX));
  command->add_option("--svg", o->svg, "picture to write");
  add_common(*command, o->common, with_data | with_seed);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
