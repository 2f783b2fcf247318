// pare eval FILE
#include "optim/evaluate.h"
#include "optim/progress.h"
#include "tools/command.h"

namespace pare::tool {
namespace {

struct EvalCommand {
  CommonOptions common;
  std::string file;

  void run() {
    common.apply();
    Graph graph = open_model(file);
    const Dataset data = open_data(common, graph);
    note_excess(common, "--batch", common.batch, data.test.size(), "test images");
    to_device(graph, common.device_for(graph, Use::evaluation));
    const Evaluation e =
        evaluate(graph, data.test, data.preprocessing, common.batch ? common.batch : 250);
    const double rate = double(e.examples) / e.seconds;
    const int64_t bytes = file_bytes(file);
    print_result(
        common,
        {{"examples", e.examples},
         {"accuracy", e.accuracy},
         {"loss", e.loss},
         {"seconds", e.seconds},
         {"images_per_s", rate},
         {"file_bytes", bytes}},
        fmt::format("accuracy {} ({} of {} test images of {}), loss {:.4f}, {} images/s, "
                    "file {}",
                    percent(e.accuracy), int64_t(e.accuracy * double(e.examples) + 0.5), e.examples,
                    data.name, e.loss, rate_text(rate), human_bytes(double(bytes))));
  }
};

}  // namespace

void add_eval(CLI::App& app) {
  auto* command = app.add_subcommand("eval", "accuracy and loss of a saved model on the test part");
  command->footer("Example: pare eval lenet5.pare");
  auto o = std::make_shared<EvalCommand>();
  command->add_option("file", o->file, "model file")->required();
  add_common(*command, o->common, with_data | with_batch | with_device);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
