// Channel coupling: which indices of an op's operands stay or go together.
//
// Structured pruning asks every op of a graph. An index along an axis (a channel) of one operand is
// tied to indices of others; where a tied channel is removed, all of them are. An axis that an op's
// rule does not mention stays whole, so an op without a rule is left alone and never made wrong.
//
// The rule promises: with the same channels zeroed in the inputs and in the outputs, the op
// computes for the other channels what it computes with them removed.
#pragma once

#include <string_view>

#include "core/attrs.h"

namespace pare {

struct Operand {
  enum class Kind : uint8_t { input, output, buffer };
  Kind kind = Kind::input;
  int index = 0;
};
constexpr Operand input_at(int i = 0) { return {Operand::Kind::input, i}; }
constexpr Operand output_at(int i = 0) { return {Operand::Kind::output, i}; }
constexpr Operand buffer_at(int i = 0) { return {Operand::Kind::buffer, i}; }

// A node as its op's rule sees it, and where the rule says its ties.
class ChannelTies {
 public:
  virtual ~ChannelTies() = default;
  virtual const Attrs& attrs() const = 0;
  virtual int count(Operand::Kind kind) const = 0;
  // Extents; those in the `symbolic` bits follow the batch, and ties to them are ignored.
  virtual const Ints& shape(Operand operand) const = 0;
  // Whether the axis is tied to a parameter by what came before: it carries channels that some
  // layer made.
  virtual bool carries_channels(Operand operand, int axis) const = 0;

  // Index i of one axis belongs to index j of another.
  virtual void tie(Operand a, int axis_a, int64_t i, Operand b, int axis_b, int64_t j) = 0;
  // Any index may go without regard to others: the op sums over the axis, or passes it by.
  virtual void free(Operand operand, int axis) = 0;
  // The axis stays whole, as one that is not mentioned does; `why` ends "kept whole: ...".
  virtual void keep(Operand operand, int axis, std::string_view why) = 0;

  // Every index to the same index: axes of one extent.
  void tie(Operand a, int axis_a, Operand b, int axis_b);
};

// What is left of a node's operands, for the op's attributes to follow.
class ChannelCut {
 public:
  virtual ~ChannelCut() = default;
  virtual int64_t extent(Operand operand, int axis) const = 0;  // after the cut
  // How many of the indices below `index` (counted before the cut) stay.
  virtual int64_t kept_below(Operand operand, int axis, int64_t index) const = 0;
};

// How an op couples channels: one of the common kinds, or a rule of its own (Op::couple).
enum class Coupling : uint8_t {
  unknown,      // pruning leaves what touches this op dense, and says so
  elementwise,  // all inputs and outputs share their axes, broadcast as in NumPy
  producer,     // inputs x[n,in,...], weight[out,in/groups,...], bias[out], residual; makes new
                // channels
  per_channel,  // axis 1 (the only one of vectors) of every operand is the same: norms, pools. With
                // three inputs or more it is a norm: x, scale[c], shift[c]; of its buffers the
                // first is a running mean, the second a running variance, and the attribute
                // `momentum` is the share with which a batch moves them
};

struct Op;
// Asks the op's own rule, else that of its kind.
void couple_channels(const Op& op, ChannelTies& ties);
// Makes a node's attributes fit what is left.
void resize_attributes(const Op& op, const ChannelCut& cut, Attrs& attrs);

// The rule of elementwise ops, for rules built on it: ties b's axes to a's as broadcasting aligns
// them. False, and nothing tied, where the shapes do not broadcast.
bool tie_broadcast(ChannelTies& ties, Operand a, Operand b);

}  // namespace pare
