#include "optim/model_facts.h"

#include <algorithm>
#include <cmath>

#include "core/json.h"
#include "datasets/gzip.h"

namespace pare {
namespace {

// Of a model that does not say what a pixel was: bytes, 0 to 255. Every archive of u8 had that
// scale; a deviation of few grey levels tells that white was not 255.
bool speaks_of_bytes(const std::string& data, const Preprocessing& p) {
  static constexpr std::string_view sets[] = {"digits", "mnist", "fashion-mnist", "cifar10",
                                              "cifar100"};
  return std::find(std::begin(sets), std::end(sets), data) != std::end(sets) ||
         (std::abs(p.scale * 255 - 1) < 1e-9 &&
          (p.deviation.empty() || std::any_of(p.deviation.begin(), p.deviation.end(),
                                              [](double d) { return d > 8.0 / 255; })));
}

Dataset with_pixels(Dataset data) {
  Preprocessing& p = data.preprocessing;
  if (!p.pixels) p.pixels = pixels_of(data);
  if (!p.size.rank() && data.train.size()) p.size = data.train.shape();
  return data;
}

std::string graph_data(const Graph& graph) { return graph.get_metadata("data"); }

// Whether numbers that `own` brings to mean 0 and deviation 1 are in the unit that `model` does so:
// other pictures may be a whole deviation brighter, another unit is further away. `tolerance`: 1
// for other pictures, far less for the same.
bool same_statistics(const Preprocessing& own, const Preprocessing& model, double tolerance = 1) {
  if (own.mean.size() != model.mean.size() || own.deviation.size() != model.deviation.size() ||
      own.scale != model.scale || own.mean.empty() || own.deviation.empty())
    return false;
  for (size_t c = 0; c < own.mean.size(); ++c)
    // Of -1..1 and 0..1 the deviations are 2 to 1, and the means a deviation of the second apart.
    if (std::abs(own.mean[c] - model.mean[c]) >
            tolerance * std::min(own.deviation[c], model.deviation[c]) ||
        std::abs(std::log2(own.deviation[c] / model.deviation[c])) > 0.8 * tolerance)
      return false;
  return true;
}

// Whether `known` is black and white of a unit in which the values of `seen` lie between them.
bool contains(const PixelRange& known, const PixelRange& seen) {
  const double edge = 1e-4 * (known.high - known.low);  // what printing the numbers leaves
  return known.known() && !seen.known() && seen.low >= known.low - edge &&
         seen.high <= known.high + edge;
}

// What a pixel was, from the data at hand where the model does not say it, or could not.
void settle_pixels(Preprocessing& model, Preprocessing& own, bool same_data) {
  const PixelRange& given = *own.pixels;
  if (!model.pixels) {
    const bool comparable = !own.mean.empty() && !model.mean.empty();
    expect(comparable ? same_statistics(own, model) : same_data, "the model",
           "it does not say what a pixel was (an older pare wrote it), and the images are {}. "
           "`pare train FILE --data ITS_OWN_DATA --epochs 0 --out OTHER` writes it down",
           to_string(given));
    model.pixels = given;
    return;
  }
  expect(!same_data || !given.known() || !model.pixels->known() ||
             (given.low == model.pixels->low && given.high == model.pixels->high) ||
             !same_statistics(own, model, 0.05),
         "the images", "they are {} as stated here; the same numbers were {} in training",
         to_string(given), to_string(*model.pixels));
  const bool same = same_statistics(own, model);
  expect(same || given.known() || model.pixels->known() || own.mean.empty(), "the images",
         "they are {}, and so is what the model takes, {}; but their mean or deviation is far from "
         "that in training. Where it is the same unit, say its black and white: `pare train FILE "
         "--data ITS_OWN_DATA --pixel-range BLACK WHITE --epochs 0 --out OTHER`, then the same "
         "--pixel-range here",
         to_string(given), to_string(*model.pixels));
  if (!same_data || !same) return;
  if (contains(*model.pixels, given))  // one of them was stated
    own.pixels = model.pixels;
  else if (contains(given, *model.pixels))
    model.pixels = given;
}

void fit_classes(const Graph& graph, Dataset& data) {
  const int64_t classes = class_count(graph);
  for (const Examples* part : {&data.train, &data.test}) {
    const int32_t* label = part->size() ? part->labels.data<int32_t>() : nullptr;
    for (int64_t i = 0; i < part->size(); ++i)
      expect(label[i] >= 0 && label[i] < classes, data.name,
             "label {} of example {}; the model tells {} classes apart, 0 to {}", label[i], i,
             classes, classes - 1);
  }
  const std::vector<std::string> names = class_names(graph);
  if (!names.empty()) {
    check_class_order(data.classes, names, data.name);
    data.classes = names;
  } else if (int64_t(data.classes.size()) != classes) {
    data.classes = numbered_classes(classes);
  }
}

// Names take the place of numbers, never of names.
void adopt(Graph& graph, const std::vector<std::string>& names) {
  if (int64_t(names.size()) == class_count(graph) &&
      class_names(graph) == numbered_classes(int64_t(names.size())))
    graph.set_metadata("classes", to_text(names));
}

}  // namespace

void describe_model(Graph& graph, const std::string& model, const Dataset& data) {
  graph.set_metadata("model", model);
  graph.set_metadata("preprocessing", with_pixels(data).preprocessing.to_json());
  describe_data(graph, data);
}

void adopt_class_names(Graph& graph, const Graph& from) { adopt(graph, class_names(from)); }

void adopt_class_names(Graph& graph, const Dataset& data) {
  if (data.named) adopt(graph, data.classes);
}

std::string other_class_names(const Graph& graph, const Dataset& data) {
  const std::vector<std::string> names = class_names(graph);
  if (!data.named || names.size() != data.classes.size() || names == data.classes) return {};
  const auto at = std::mismatch(names.begin(), names.end(), data.classes.begin());
  return message("class {} is '{}' in the model and '{}' in {}; the model's names stay",
                 at.first - names.begin(), *at.first, *at.second, data.name);
}

void describe_data(Graph& graph, const Dataset& data) {
  graph.set_metadata("data", valid_utf8(data.name));
  graph.set_metadata("classes", to_text(data.classes));
  graph.set_metadata("holdout", to_text(data.holdout));
}

std::optional<Preprocessing> preprocessing_of(const Graph& graph) {
  const std::string stored = graph.get_metadata("preprocessing");
  if (stored.empty()) return {};
  Preprocessing p = Preprocessing::from_json(stored);
  const Shape input = graph.input_shape(1);
  if (input.rank() == 4) {
    const Shape image{input[1], input[2], input[3]};
    expect(!p.size.rank() || p.size == image, "the model",
           "it says that images are {}, its network takes {}", p.size, image);
    p.size = image;
    p.check_channels(image[0]);
  }
  if (!p.pixels && speaks_of_bytes(graph.get_metadata("data"), p)) p.pixels = PixelRange{};
  return p;
}

Preprocessing picture_preprocessing(const Graph& graph) {
  const auto own = preprocessing_of(graph);
  expect(own.has_value(), "the model", "it does not say how images are preprocessed");
  expect(own->pixels.has_value(), "the model",
         "it does not say what a pixel was (an older pare wrote it); `pare train FILE --data "
         "ITS_OWN_DATA --epochs 0 --out OTHER` writes it down");
  const Shape input = graph.input_shape(1);
  expect(input.rank() == 4, "the model", "it takes {}, which are no images", input);
  return own->for_pixels(PixelRange{}, input[1]);
}

int64_t class_count(const Graph& graph) {
  const Ints& logits = graph.values[size_t(graph.outputs[0])].shape;
  expect(logits.size() == 2, "the model", "its output has {} axes, expected logits of two",
         logits.size());
  return logits[1];
}

std::vector<std::string> class_names(const Graph& graph) {
  const std::string stored = graph.get_metadata("classes");
  const Ints& logits = graph.values[size_t(graph.outputs[0])].shape;
  if (stored.empty() || logits.size() != 2) return {};
  const auto json = parse_json(stored, "the model's class names");
  check(json.is_array() &&
            std::all_of(json.begin(), json.end(), [](auto& j) { return j.is_string(); }),
        ErrorCode::bad_input, "the model's class names are no list of texts");
  auto names = json.get<std::vector<std::string>>();
  if (int64_t(names.size()) != logits[1]) return {};
  return names;
}

Dataset fit_data(Graph& graph, Dataset data) {
  const Examples& some = data.train.size() ? data.train : data.test;
  expect(some.size() > 0, data.name, "no examples");
  const Shape image = some.shape(), input = graph.input_shape(1);
  check(
      input.rank() == image.rank() + 1 && std::equal(image.begin(), image.end(), input.begin() + 1),
      ErrorCode::bad_input, "the model takes images of {}, '{}' has {}", input, data.name, image);
  fit_classes(graph, data);
  data = with_pixels(std::move(data));
  const bool same_data = graph_data(graph) == valid_utf8(data.name);
  if (auto model = preprocessing_of(graph)) {
    settle_pixels(*model, data.preprocessing, same_data);
    const std::string axes = data.preprocessing.axes;
    if (!axes.empty()) model->axes = axes;
    try {
      data.preprocessing = model->for_pixels(*data.preprocessing.pixels, image[0]);
    } catch (const Error& e) {
      fail(e.code(), "'{}': {}", data.name, e.what());
    }
    data.preprocessing.axes = axes;
    graph.set_metadata("preprocessing", model->to_json());
  } else {
    graph.set_metadata("preprocessing", data.preprocessing.to_json());
  }
  if (const std::string share = graph.get_metadata("holdout"); !share.empty()) {
    const auto json = parse_json(share, "the model's held-out share");
    check(json.is_number() && json.get<double>() >= 0 && json.get<double>() < 1,
          ErrorCode::bad_input, "the model's held-out share is {}, expected 0 <= share < 1", share);
    data.holdout = json.get<double>();
  }
  if (!same_data) describe_data(graph, data);
  return data;
}

std::optional<Preprocessing> preprocessing_for(const Graph& model, const Graph& other) {
  auto own = preprocessing_of(model), given = preprocessing_of(other);
  if (!own || !given) return {};
  expect(given->pixels.has_value(), "the student", "it does not say what a pixel was");
  settle_pixels(*own, *given, graph_data(model) == graph_data(other));
  try {
    return own->for_pixels(*given->pixels, own->size.rank() ? own->size[0] : 0);
  } catch (const Error& e) {
    fail(e.code(), "the teacher: {}", e.what());
  }
}

void check_class_order(const std::vector<std::string>& names,
                       const std::vector<std::string>& classes, const std::string& what) {
  if (names == classes ||
      !std::is_permutation(names.begin(), names.end(), classes.begin(), classes.end()))
    return;
  const size_t at =
      size_t(std::mismatch(names.begin(), names.end(), classes.begin()).first - names.begin());
  fail(ErrorCode::bad_input,
       "{}: the classes are the model's in another order: {} is '{}', in the model '{}'", what, at,
       names[at], classes[at]);
}

Preprocessing settle_preprocessing(Graph& graph, const Dataset& data, double holdout) {
  const Preprocessing p = with_pixels(data).preprocessing;
  check_pixels(data.train, data.preprocessing, data.name);
  check_preprocessing(graph, p);
  const auto write = [&](const char* key, const std::string& value) {
    if (graph.get_metadata(key).empty()) graph.set_metadata(key, value);
  };
  write("preprocessing", p.to_json());
  write("data", valid_utf8(data.name));
  write("holdout", to_text(holdout));
  const Ints& logits = graph.values[size_t(graph.outputs[0])].shape;
  if (logits.size() == 2 && logits[1] == int64_t(data.classes.size()))
    write("classes", to_text(data.classes));
  return p;
}

void check_preprocessing(const Graph& graph, const Preprocessing& used) {
  auto model = preprocessing_of(graph);
  if (!model || !model->size.rank()) return;
  used.check_channels(model->size[0]);
  if (used.pixels && model->pixels) model = model->for_pixels(*used.pixels, model->size[0]);
  // Half a grey level of bytes, in deviations of the network's input.
  const PixelRange range = used.pixels.value_or(PixelRange{});
  for (int64_t c = 0; c < model->size[0]; ++c) {
    const auto [a, b] = model->affine(c);
    const auto [x, y] = used.affine(c);
    for (const double v : {range.low, range.high})
      expect(std::abs((double(a) - double(x)) * v + double(b) - double(y)) <=
                 0.01 * std::max(1.0, std::abs(double(a) * (range.high - range.low))),
             "preprocessing",
             "channel {}: a pixel of {} becomes {} here and {} in training; give the data through "
             "fit_data(graph, data)",
             c, v, double(x) * v + double(y), double(a) * v + double(b));
  }
}

}  // namespace pare
