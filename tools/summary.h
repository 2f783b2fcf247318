// The table of a network's layers, as summary and train print it; and models by name.
#pragma once

#include "datasets/dataset.h"
#include "tools/command.h"

namespace pare::tool {

std::string layer_table(Graph& graph);

// Whether `model` is a file rather than the name of a network: what ends in .pare or has a folder,
// and what else is there.
bool names_file(const std::string& model);
// Throws Error{usage} where no network has that name; `it_is` says what it was taken for.
void check_model_name(const std::string& model, const char* it_is = "neither a model nor a file");
std::string default_data(const std::string& model);
// A fresh network of the zoo for the data's images and classes.
Graph new_model(const std::string& model, const Dataset& data, uint64_t seed);

}  // namespace pare::tool
