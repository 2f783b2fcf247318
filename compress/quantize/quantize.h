// The two passes of quantization: a float graph becomes a fake-quantized one, which evaluates on
// integers and can be trained; and that one is lowered to integer nodes. Both give the same bits.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "autograd/graph.h"
#include "compress/quantize/calibrate.h"

namespace pare {

struct QuantizeReport {
  std::vector<std::string> quantized;   // nodes that now compute in integers
  std::vector<std::string> left_float;  // nodes with weights that have no integer form yet
};

// Throws Error{bad_input} where a layer is fake-quantized or computes in integers: training,
// pruning and quantizing begin with the float model. `name` begins the sentence.
void check_float(const Graph& graph, const std::string& name);

// Replaces every dense node by fake_quant_dense, with one range per value shared by its maker and
// its readers: input of the first layer of a chain, and every layer's output (after its ReLU,
// logits too). `ranges` come from calibrate(). Throws Error{bad_input} where the graph is quantized
// already or holds no layer to quantize.
QuantizeReport quantize(Graph& graph, const std::map<std::string, ObservedRange>& ranges);

// Whether training goes on learning the ranges (an exponential average) or leaves them as they are.
void observe_ranges(Graph& graph, bool on);

// The integer graph of a fake-quantized one: quantize, int8_dense ..., dequantize; neighbouring
// layers hand integers to each other. Parameters become integer constants. Bit for bit equal to
// evaluating `graph`. Throws Error{bad_input} where nothing is quantized.
Graph lower(const Graph& graph);

}  // namespace pare
