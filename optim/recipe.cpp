#include "optim/recipe.h"

#include <algorithm>

namespace pare {
namespace {

struct Recipe {
  std::string_view model;
  int64_t epochs, batch;
  const char* optimizer;
  double rate, weight_decay, warmup, clip;
  ScheduleKind schedule;
};

// Measured results stand in docs/training.md.
constexpr Recipe recipes[] = {
    {"mlp", 10, 64, "adamw", 1e-3, 1e-2, 0, 0, ScheduleKind::cosine},
    {"lenet5", 5, 64, "nesterov", 0.02, 5e-4, 0.5, 2, ScheduleKind::cosine},
    {"lenet5-classic", 10, 64, "nesterov", 0.02, 5e-4, 0.5, 2, ScheduleKind::cosine},
    {"cifar-cnn", 12, 128, "nesterov", 0.05, 5e-4, 1, 2, ScheduleKind::cosine},
    {"resnet", 8, 128, "nesterov", 0.4, 5e-4, 0, 0, ScheduleKind::one_cycle},
};
constexpr Recipe general = {"", 10, 64, "nesterov", 0.02, 5e-4, 0.5, 2, ScheduleKind::cosine};

const Recipe& find_recipe(std::string_view model) {
  const auto it = std::find_if(std::begin(recipes), std::end(recipes), [&](const Recipe& r) {
    return r.model == model || (r.model == "resnet" && model.starts_with("resnet"));
  });
  return it == std::end(recipes) ? general : *it;
}

}  // namespace

TrainOptions default_recipe(std::string_view model, const Dataset& data) {
  const Recipe& r = find_recipe(model);
  TrainOptions o;
  o.epochs = r.epochs;
  o.batch = r.batch;
  o.optimizer = {
      .name = r.optimizer, .rate = r.rate, .weight_decay = r.weight_decay, .clip = r.clip};
  o.schedule = r.schedule;
  o.warmup = r.warmup;
  o.augment = data.augmentation;
  o.holdout = data.holdout;
  return o;
}

TrainOptions fine_tune_recipe(std::string_view model, const Dataset& data) {
  TrainOptions o = default_recipe(model, data);
  o.epochs = 2;
  o.optimizer.rate /= 10;
  o.schedule = ScheduleKind::cosine;
  o.warmup = 0;
  return o;
}

}  // namespace pare
