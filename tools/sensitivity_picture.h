// Pictures of a sensitivity scan: for the terminal, and as an SVG file.
#pragma once

#include <string>

#include "compress/prune/sensitivity.h"

namespace pare::tool {

// A table of accuracies in percent, a row a layer, with a curve of block characters and the highest
// sparsity that costs at most half a point.
std::string sensitivity_table(const Sensitivity& scan);
// Accuracy against sparsity, a curve a layer.
std::string sensitivity_svg(const Sensitivity& scan, const std::string& title);

// What the table calls tolerated.
constexpr double tolerated_drop = 0.005;

}  // namespace pare::tool
