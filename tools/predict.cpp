// pare predict FILE IMAGE...
#include <algorithm>
#include <numeric>

#include "autograd/blame.h"
#include "core/math.h"
#include "datasets/image.h"
#include "optim/model_facts.h"
#include "tools/command.h"
#include "tools/usage.h"

namespace pare::tool {
namespace {

// A model that tells classes of images apart, on the device where it answers.
struct Classifier {
  Classifier(const CommonOptions& common, const std::string& file)
      : graph(open_model(file)), classes(class_names(graph)) {
    const Shape batch = graph.input_shape(1);
    check(batch.rank() == 4, ErrorCode::bad_input, "{}: the model takes {}, which are no images",
          file, batch);
    input = {batch[1], batch[2], batch[3]};
    check_image_shape(input);
    preprocessing = picture_preprocessing(graph);
    const Ints& scores = graph.values[size_t(graph.outputs[0])].shape;
    check(scores.size() == 2 && scores[1] > 0, ErrorCode::bad_input,
          "{}: the model's answers are no scores of classes", file);
    device = common.device_for(graph, Use::evaluation);
    to_device(graph, device);
    check_parameters(graph);
  }

  std::vector<double> probabilities(const Tensor& x, const std::string& picture) {
    const Tensor images = x.to(device), logits = graph(images, Mode::eval);
    check_answer(graph, images, logits, (picture + ": the network").c_str());
    std::vector<double> p = logits.to_vector<double>();
    const double largest = *std::max_element(p.begin(), p.end());
    double sum = 0;
    for (double& v : p) sum += v = math::exp(v - largest);
    for (double& v : p) v /= sum;
    return p;
  }
  std::string name(size_t label) const {
    return label < classes.size() ? classes[label] : std::to_string(label);
  }

  Graph graph;
  std::vector<std::string> classes;
  Preprocessing preprocessing;
  Shape input;  // of one image
  Device device;
};

struct PredictCommand {
  CommonOptions common;
  std::string file, show;
  std::vector<std::string> images;
  int64_t top = 3;

  void run() {
    common.apply();
    Classifier model(common, file);
    for (const std::string& image : images) run_files().reads(image, "the picture");
    run_files().writes(show, "--show", FileKind::png);
    const int64_t told = model.graph.values[size_t(model.graph.outputs[0])].shape[1];
    check(!common.given("--top") || top <= told, "--top {}: the model tells {} classes apart", top,
          told);
    Json predictions = Json::array();
    std::string error;
    int64_t failed = 0;
    for (const std::string& image : images) try {
        predictions.push_back(answer(model, image));
      } catch (const Error& e) {  // the others are answered
        if (e.code() != ErrorCode::bad_input && e.code() != ErrorCode::io) throw;
        ++failed;
        error = e.what();
        predictions.push_back({{"file", image}, {"error", error}});
        if (images.size() > 1) tell("error: " + error);
      }
    Json result{{"predictions", predictions}};
    if (!drawn_.empty()) {
      write_png(contact_sheet(drawn_), show);
      result["show"] = show;
      if (drawn_.size() + size_t(failed) < images.size())
        note(common, "{} shows the first {} pictures", show, drawn_.size());
    }
    if (failed) {
      if (images.size() > 1)
        error = message("{} of {} pictures have no answer", failed, images.size());
      result["error"] = error;
      result["code"] = int(ErrorCode::bad_input);
    }
    if (common.json || !text_.empty()) print_result(common, result, text_);
    check(!failed, ErrorCode::bad_input, "{}", error);
  }

 private:
  Json answer(Classifier& model, const std::string& name) {
    const Image image = read_png(name);
    const Tensor x = to_input(image, model.input, model.preprocessing);
    const std::vector<double> p = model.probabilities(x, name);
    std::vector<size_t> order(p.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return p[a] != p[b] ? p[a] > p[b] : a < b; });

    const auto notes = picture_notes(image, x, model.preprocessing);
    for (const std::string& text : notes) note(common, "note: {}: {}", name, text);
    text_ += (text_.empty() ? "" : "\n") + name + ":";
    for (size_t i = 0; i < std::min(order.size(), size_t(top)); ++i)
      text_ += fmt::format("  {} {}", model.name(order[i]), percent(p[order[i]]));
    if (!show.empty() &&
        int64_t(drawn_.size()) < contact_sheet_capacity(model.input[1], model.input[2]))
      drawn_.push_back(to_image(x, model.preprocessing));
    Json answer = {{"file", name},
                   {"class", model.name(order[0])},
                   {"probability", p[order[0]]},
                   {"notes", notes}};
    if (common.given("--top")) {
      answer["top"] = Json::array();
      for (size_t i = 0; i < std::min(order.size(), size_t(top)); ++i)
        answer["top"].push_back({{"class", model.name(order[i])}, {"probability", p[order[i]]}});
    }
    return answer;
  }

  std::string text_;          // the answers, a line each
  std::vector<Image> drawn_;  // what the network saw, in the same order
};

}  // namespace

void add_predict(CLI::App& app) {
  auto* command = app.add_subcommand("predict", "classes of images, with probabilities");
  command->footer("Example: pare predict lenet5.pare seven.png --show seen.png");
  auto o = std::make_shared<PredictCommand>();
  command->add_option("file", o->file, "model file")->required();
  command->add_option("images", o->images, "PNG images")->required();
  command->add_option("--show", o->show,
                      "PNG file to write: what the network saw of the images, side by side");
  command->add_option("--top", o->top, "classes to print")->check(between(1, 10000));
  add_common(*command, o->common, with_device);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
