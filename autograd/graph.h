// Graph: a network as data. What capture records is what replays, saves, and what compression
// edits.
//
// A graph is a module: it trains and evaluates through the same ops as the code it came from, with
// the same bits. Nodes are immutable instructions; a run owns its table of values. The batch stays
// symbolic: extents and attributes that follow it are kept as multiples of it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/module.h"
#include "autograd/op.h"

namespace pare {

enum class ValueKind : uint8_t { input, param, constant, computed };

struct GraphValue {
  std::string name;  // unique, stable: passes keep it
  ValueKind kind = ValueKind::computed;
  Ints shape;  // extents; those in the `symbolic` bits are multiples of the batch
  DType dtype = DType::f32;
  Param param;      // kind param: shared with the module it came from; tied weights are one value
  Tensor constant;  // kind constant
};

struct GraphNode {
  const Op* op = nullptr;
  std::string name;                  // unique; also keys the randomness of dropout
  std::vector<int> inputs, outputs;  // ids of values
  std::vector<int> buffers;          // indices into Graph::buffers
  Attrs attrs;
};

struct GraphBuffer {
  std::string name;
  Buffer buffer;
};

class Graph : public Module {
 public:
  std::vector<GraphValue> values;
  std::vector<GraphNode> nodes;  // in an order in which they can run
  std::vector<GraphBuffer> buffers;
  int input = -1;
  std::vector<int> outputs;
  // Free text that travels with the model ("preprocessing", "classes", "recipe"...).
  std::vector<std::pair<std::string, std::string>> metadata;

  Tensor forward(const Tensor& x, Mode mode) override;  // the first output
  std::vector<Tensor> run(const Tensor& x, Mode mode = Mode::eval);
  void visit(Visitor& visitor) override;
  std::optional<Device> own_device() const override;  // of constants
  void follow(Device device) override;                // constants
  void follow(DType dtype) override;                  // constants, and the types of values

  // Own copies of parameters, masks, slots, transforms, buffers; ties kept.
  Graph clone() const;
  // The same nodes over the same parameters, constants and buffers, for a pass that edits.
  Graph share() const;
  // Throws Error{bad_input} naming the first thing that is wrong: ids out of range, values used
  // before they are made or made twice, names that repeat, missing parameters, a number of inputs
  // or buffers that an op does not take, missing attributes.
  void verify() const;
  // The same, then every op's own checks at batches 1 and 2, without computing: shapes and types
  // must be what `values` says, and what is alive at a time must fit `bytes`. Throws
  // Error{bad_input}.
  void verify_shapes(int64_t bytes);

  // Shape of the input at the given batch.
  Shape input_shape(int64_t batch) const;
  int find_value(std::string_view name) const;  // -1 when absent
  int find_node(std::string_view name) const;   // -1 when absent
  int producer(int value) const;                // node that makes a value; -1 for none
  std::vector<int> consumers(int value) const;  // nodes that read it, in order

  // Edits, for passes. Call changed() after the last one.
  int add_value(GraphValue value);  // makes its name unique
  void insert_node(int position, GraphNode node);
  void remove_node(int position);
  // Every reader of `from` (nodes from `first_node` on, and outputs) reads `to` instead.
  void replace_uses(int from, int to, int first_node = 0);
  // Drops values and buffers that no node, input or output refers to; ids change.
  void remove_unused();
  void changed();
  std::string unique_value_name(const std::string& hint) const;

  std::string get_metadata(std::string_view key) const;  // "" when absent
  void set_metadata(const std::string& key, const std::string& value);

 private:
  struct Table;
  struct Plan {
    std::vector<std::vector<int>> last_uses;  // per node: values that die with it
  };
  void replay(const Tensor& x, Mode mode, std::vector<Tensor>& table);
  std::shared_ptr<const Plan> plan();  // threads that evaluate one graph share it
  std::shared_ptr<const Plan> plan_;
};

// Records one forward pass of `module` as a graph whose parameters and buffers are the module's
// own. Runs it in both modes and at two batch sizes, without side effects on buffers: what differs
// in any other way than by the batch, also where it follows the input's values, reading a tensor's
// values on the host, or branching on the mode, is an Error naming the scope. `sample` gives shape
// and type of the input (any batch).
Graph capture(Module& module, const Tensor& sample);

std::string to_string(const Graph& graph);  // one line a node

}  // namespace pare
