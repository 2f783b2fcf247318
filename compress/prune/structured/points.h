// The points of a graph and what its ops tie: the sets that channel groups are read from.
#pragma once

#include <array>
#include <set>
#include <string>
#include <vector>

#include "autograd/graph.h"

namespace pare {

// Every index along every axis of every value and buffer, in disjoint sets, each with the first
// reason to keep it. Slots are the graph's values, then its buffers. Axes that follow the batch
// have no points.
class Points {
 public:
  explicit Points(const Graph& graph);

  int slots() const { return int(shapes_.size()); }
  int slot_of_buffer(int buffer) const { return values_ + buffer; }
  const Ints& shape(int slot) const { return shapes_[size_t(slot)]; }
  int64_t extent(int slot, int axis) const;  // 0 where it follows the batch
  int64_t point(int slot, int axis, int64_t i) const {
    return first_[size_t(slot) * Ints::capacity + size_t(axis)] + i;
  }
  int64_t find(int64_t p);  // the representative of its set
  void join(int64_t a, int64_t b);
  void keep(int slot, int axis, const std::string& why);
  bool has_param(int64_t p) { return has_param_[size_t(find(p))]; }
  const std::string* why_kept(int64_t p);  // null where the point may go

 private:
  int values_ = 0;
  std::vector<Ints> shapes_;
  std::vector<int64_t> first_, parent_;
  std::vector<bool> has_param_;
  std::vector<int> why_;  // index into reasons_, or -1
  std::vector<std::string> reasons_;
};

// Asks the node's op for its ties and keeps every axis that the rule passes over in silence.
void tie_node(Points& points, const GraphNode& node);

}  // namespace pare
