// Default training recipes, one per named model: what `pare train MODEL` does unless told
// otherwise.
#pragma once

#include <string_view>

#include "optim/trainer.h"

namespace pare {

// Options for training `model` on `data`; a model without a recipe of its own gets the general one.
TrainOptions default_recipe(std::string_view model, const Dataset& data);

// Options for going on with a trained model (after pruning, in quantization-aware training): a few
// epochs at a tenth of the rate.
TrainOptions fine_tune_recipe(std::string_view model, const Dataset& data);

}  // namespace pare
