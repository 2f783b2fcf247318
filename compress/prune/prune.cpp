#include "compress/prune/prune.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pare {
namespace {

struct Candidate {
  float score;
  int64_t index;  // over all elements of the group
};

// First those that go: masked already, then small scores, then later indices.
bool goes_before(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score < b.score : a.index > b.index;
}

struct Layer {
  PrunableWeight weight;
  int64_t first = 0;  // index of its first element in the group
  int64_t elements = 0, floor = 0;
};

// The candidates of one layer: elements that the floor protects have an infinite score.
void add_candidates(const Layer& layer, const Criterion& criterion, std::vector<Candidate>& all) {
  const Tensor scores = criterion.scores(layer.weight);
  const Tensor mask = layer.weight.param.state().mask;
  const Tensor on_host = mask.defined() ? mask.to(Device{}).plain() : Tensor();
  const size_t begin = all.size();
  for (int64_t i = 0; i < layer.elements; ++i) {
    const float s = scores.data<float>()[i];
    check(std::isfinite(s), ErrorCode::bad_input, "prune: element {} of '{}' has the score {}", i,
          layer.weight.name, s);
    const bool gone = on_host.defined() && !on_host.data<uint8_t>()[i];
    all.push_back({gone ? -std::numeric_limits<float>::infinity() : s, layer.first + i});
  }
  const auto from = all.begin() + std::ptrdiff_t(begin);
  const auto protect = all.end() - layer.floor;
  std::nth_element(from, protect, all.end(), goes_before);
  for (auto c = protect; c != all.end(); ++c)
    if (std::isfinite(c->score)) c->score = std::numeric_limits<float>::infinity();
}

// Masks the first `count` of the group's candidates.
void prune_group(const std::vector<Layer>& layers, const Criterion& criterion, double sparsity) {
  std::vector<Candidate> all;
  int64_t floor = 0;
  for (const Layer& layer : layers) {
    add_candidates(layer, criterion, all);
    floor += layer.floor;
  }
  const auto count = int64_t(std::llround(sparsity * double(all.size())));
  check(count <= int64_t(all.size()) - floor,
        "prune: a sparsity of {} leaves {} of {} weights, but {} must stay so that no layer is "
        "emptied; prune less or lower the floor",
        sparsity, int64_t(all.size()) - count, all.size(), floor);
  std::nth_element(all.begin(), all.begin() + count, all.end(), goes_before);
  std::vector<uint8_t> keep(all.size(), 1);
  for (int64_t i = 0; i < count; ++i) keep[size_t(all[size_t(i)].index)] = 0;
  for (const Layer& layer : layers) {
    const std::vector<uint8_t> part(keep.begin() + layer.first,
                                    keep.begin() + layer.first + layer.elements);
    Param param = layer.weight.param;
    param.set_mask(Tensor::from(part, param.value().shape()).to(param.value().device()));
  }
}

}  // namespace

std::vector<PrunedLayer> prune(Graph& graph, const Criterion& criterion,
                               const PruneOptions& options) {
  check(options.sparsity >= 0 && options.sparsity <= 1,
        "prune: sparsity {}, expected a share between 0 and 1", options.sparsity);
  check(options.floor >= 0 && options.floor <= 1,
        "prune: floor {}, expected a share between 0 and 1", options.floor);
  std::vector<std::vector<Layer>> groups;
  for (const PrunableWeight& w : prunable_weights(graph)) {
    if (groups.empty() || options.scope == PruneScope::local) groups.emplace_back();
    auto& group = groups.back();
    const int64_t n = w.param.value().elements();
    const auto floor = std::min(n, std::max<int64_t>(1, std::llround(options.floor * double(n))));
    group.push_back({w, group.empty() ? 0 : group.back().first + group.back().elements, n, floor});
  }
  check(!groups.empty(), ErrorCode::bad_input, "prune: the network has no weights to prune");
  for (const auto& group : groups) prune_group(group, criterion, options.sparsity);

  std::vector<PrunedLayer> report;
  for (const auto& group : groups)
    for (const Layer& layer : group) {
      const auto mask = layer.weight.param.state().mask.to_vector<uint8_t>();
      report.push_back(
          {layer.weight.name, layer.elements, std::count(mask.begin(), mask.end(), uint8_t(1))});
    }
  return report;
}

}  // namespace pare
