// pare predict FILE IMAGE...
#include "core/math.h"
#include "datasets/image.h"
#include "tools/command.h"

namespace pare::tool {
namespace {

struct PredictCommand {
  CommonOptions common;
  std::string file;
  std::vector<std::string> images;
  int64_t top = 3;

  void run() {
    common.apply();
    Graph graph = open_model(file);
    const std::string stored = graph.get_metadata("preprocessing");
    check(!stored.empty(), ErrorCode::bad_input,
          "{}: the model does not say how images are preprocessed", file);
    const Preprocessing preprocessing = Preprocessing::from_json(stored);
    const auto classes = classes_of(graph);
    const Shape input = graph.input_shape(1);
    check(input.rank() == 4, ErrorCode::bad_input, "{}: the model takes {}, which are no images",
          file, input);
    preprocessing.check_channels(input[1]);
    const Device device = common.device_for(graph, Use::evaluation);
    to_device(graph, device);
    Json predictions = Json::array();
    std::string text;
    for (const std::string& image : images) {
      const Tensor x =
          to_input(read_png(image), Shape{input[1], input[2], input[3]}, preprocessing);
      const auto p = probabilities(graph(x.to(device), Mode::eval));
      std::vector<size_t> order(p.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
      const auto name = [&](size_t i) {
        return i < classes.size() ? classes[i] : std::to_string(i);
      };
      predictions.push_back(
          {{"file", image}, {"class", name(order[0])}, {"probability", p[order[0]]}});
      text += image + ":";
      for (size_t i = 0; i < std::min(order.size(), size_t(top)); ++i)
        text += fmt::format("  {} {}", name(order[i]), percent(p[order[i]]));
      text += '\n';
    }
    text.pop_back();
    print_result(common, {{"predictions", predictions}}, text);
  }

 private:
  static std::vector<double> probabilities(const Tensor& logits) {
    std::vector<double> p = logits.to_vector<double>();
    check(!p.empty(), ErrorCode::bad_input, "the model's output {} holds no class", logits.shape());
    const double largest = *std::max_element(p.begin(), p.end());
    double sum = 0;
    for (double& v : p) sum += v = math::exp(v - largest);
    for (double& v : p) v /= sum;
    return p;
  }
};

}  // namespace

void add_predict(CLI::App& app) {
  auto* command = app.add_subcommand("predict", "classes of images, with probabilities");
  command->footer("Example: pare predict lenet5.pare seven.png");
  auto o = std::make_shared<PredictCommand>();
  command->add_option("file", o->file, "model file")->required();
  command->add_option("images", o->images, "PNG images")->required();
  command->add_option("--top", o->top, "classes to print")->check(CLI::PositiveNumber);
  add_common(*command, o->common, with_device);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
