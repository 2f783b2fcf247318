#include "compress/prune/prune.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pare {
namespace {

struct Candidate {
  float score;
  int64_t index;  // over all blocks of the group
};

// First those that go: masked already, then small scores, then later indices.
bool goes_before(const Candidate& a, const Candidate& b) {
  return a.score != b.score ? a.score < b.score : a.index > b.index;
}

struct Layer {
  PrunableWeight weight;
  BlockGrid grid;
  int64_t first = 0;  // index of its first block in the group
  int64_t floor = 0;  // blocks that stay
  int64_t count() const { return grid.blocks(); }
};

constexpr float infinity = std::numeric_limits<float>::infinity();

// What every block is worth; -infinity where all of it is masked already.
std::vector<float> block_scores(const Layer& layer, const Criterion& criterion) {
  const Tensor scores = criterion.scores(layer.weight);
  const Tensor mask = layer.weight.param.state().mask;
  const Tensor on_host = mask.defined() ? mask.to(Device{}).plain() : Tensor();
  const auto* kept = on_host.defined() ? on_host.data<uint8_t>() : nullptr;
  std::vector<double> sums(size_t(layer.count()));
  std::vector<uint8_t> gone(sums.size(), kept != nullptr);
  layer.grid.for_each([&](int64_t i, int64_t block) {
    const float s = scores.data<float>()[i];
    check(std::isfinite(s), ErrorCode::bad_input, "prune: element {} of '{}' has the score {}", i,
          layer.weight.name, s);
    sums[size_t(block)] += double(s);
    if (kept && kept[i]) gone[size_t(block)] = 0;
  });
  std::vector<float> worth(sums.size());
  for (size_t b = 0; b < sums.size(); ++b)
    worth[b] = gone[b] ? -infinity : float(sums[b] / double(layer.grid.size(int64_t(b))));
  return worth;
}

// The candidates of one layer: blocks that the floor protects have an infinite score.
void add_candidates(const Layer& layer, const Criterion& criterion, std::vector<Candidate>& all) {
  const size_t begin = all.size();
  int64_t index = layer.first;
  for (const float s : block_scores(layer, criterion)) all.push_back({s, index++});
  const auto from = all.begin() + std::ptrdiff_t(begin);
  const auto protect = all.end() - layer.floor;
  std::nth_element(from, protect, all.end(), goes_before);
  for (auto c = protect; c != all.end(); ++c)
    if (std::isfinite(c->score)) c->score = infinity;
}

void set_mask(const Layer& layer, const std::vector<uint8_t>& keep_blocks) {
  Param param = layer.weight.param;
  std::vector<uint8_t> keep(size_t(param.value().elements()));
  layer.grid.for_each(
      [&](int64_t i, int64_t block) { keep[size_t(i)] = keep_blocks[size_t(block)]; });
  param.set_mask(Tensor::from(keep, param.value().shape()).to(param.value().device()));
}

// Masks the first `sparsity` of the group's candidates.
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
  for (int64_t i = 0; i < int64_t(all.size()); ++i)
    if (i < count || all[size_t(i)].score == -infinity) keep[size_t(all[size_t(i)].index)] = 0;
  for (const Layer& layer : layers)
    set_mask(layer, {keep.begin() + layer.first, keep.begin() + layer.first + layer.count()});
}

// Of every run of M columns in a row the N best stay.
void prune_n_of_m(const Layer& layer, const Criterion& criterion, const PruneStructure& structure) {
  const std::vector<float> worth = block_scores(layer, criterion);
  const int64_t rows = layer.grid.rows(), columns = layer.grid.columns();
  std::vector<uint8_t> keep(worth.size(), 0);
  std::vector<Candidate> run;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; c += structure.of) {
      const int64_t length = std::min<int64_t>(structure.of, columns - c);
      run.clear();
      for (int64_t i = r * columns + c; i < r * columns + c + length; ++i)
        run.push_back({worth[size_t(i)], i});
      std::sort(run.begin(), run.end(), goes_before);
      const int64_t stay = (length * structure.keep + structure.of - 1) / structure.of;
      for (int64_t i = length - stay; i < length; ++i) keep[size_t(run[size_t(i)].index)] = 1;
    }
  set_mask(layer, keep);
}

// The sparsity of each layer: kept shares in proportion to (sum of extents) / (product of extents),
// none above 1, such that all together keep what is asked.
std::vector<double> erk_sparsities(const std::vector<Layer>& layers, double sparsity) {
  std::vector<double> raw, kept(layers.size(), 1);
  std::vector<bool> dense(layers.size(), false);
  double total = 0;
  for (const Layer& layer : layers) {
    const Shape& s = layer.weight.param.value().shape();
    double sum = 0;
    for (const int64_t extent : s) sum += double(extent);
    raw.push_back(sum / double(s.elements()));
    total += double(layer.count());
  }
  for (bool again = true; again;) {
    double left = (1 - sparsity) * total, weight = 0;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (dense[i])
        left -= double(layers[i].count());
      else
        weight += raw[i] * double(layers[i].count());
    }
    again = false;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (dense[i]) continue;
      kept[i] = std::max(0.0, left) * raw[i] / weight;
      if (kept[i] >= 1) again = dense[i] = true;
    }
  }
  for (size_t i = 0; i < layers.size(); ++i) kept[i] = dense[i] ? 0 : 1 - kept[i];
  return kept;
}

}  // namespace

PruneScope parse_prune_scope(const std::string& text) {
  static constexpr std::string_view known[] = {"local", "global", "erk"};
  const auto* at = std::find(std::begin(known), std::end(known), text);
  check(at != std::end(known), "'{}' is no scope of pruning{}", text,
        suggest(text, known, std::size(known)));
  return PruneScope(at - std::begin(known));
}

std::vector<PrunedLayer> prune(Graph& graph, const Criterion& criterion,
                               const PruneOptions& options) {
  check(options.sparsity >= 0 && options.sparsity <= 1,
        "prune: sparsity {}, expected a share between 0 and 1", options.sparsity);
  check(options.floor >= 0 && options.floor <= 1,
        "prune: floor {}, expected a share between 0 and 1", options.floor);
  std::vector<Layer> layers;
  const double least = options.floor * (1 - options.sparsity);
  for (const PrunableWeight& w : prunable_weights(graph)) {
    if (options.filter && !options.filter(w)) continue;
    Layer layer{w, BlockGrid(w.param.value().shape(), options.structure)};
    layer.floor = std::max<int64_t>(1, std::llround(least * double(layer.count())));
    layers.push_back(std::move(layer));
  }
  check(!layers.empty(), ErrorCode::bad_input, "prune: the network has no weights to prune");
  if (options.structure.is_n_of_m()) {
    for (const Layer& layer : layers) prune_n_of_m(layer, criterion, options.structure);
  } else if (options.scope == PruneScope::global) {
    int64_t first = 0;
    for (Layer& layer : layers) first = (layer.first = first) + layer.count();
    prune_group(layers, criterion, options.sparsity);
  } else {
    const std::vector<double> sparsities =
        options.scope == PruneScope::erk ? erk_sparsities(layers, options.sparsity)
                                         : std::vector<double>(layers.size(), options.sparsity);
    for (size_t i = 0; i < layers.size(); ++i) prune_group({layers[i]}, criterion, sparsities[i]);
  }

  std::vector<PrunedLayer> report;
  for (const Layer& layer : layers) {
    const auto mask = layer.weight.param.state().mask.to_vector<uint8_t>();
    report.push_back({layer.weight.name, int64_t(mask.size()),
                      std::count(mask.begin(), mask.end(), uint8_t(1))});
  }
  return report;
}

double sparsity_of(const Graph& graph) {
  int64_t all = 0, kept = 0;
  for (const PrunableWeight& w : prunable_weights(graph)) {
    all += w.param.value().elements();
    const Tensor& mask = w.param.state().mask;
    const auto keep = mask.defined() ? mask.to_vector<uint8_t>() : std::vector<uint8_t>{};
    kept += mask.defined() ? std::count(keep.begin(), keep.end(), uint8_t(1))
                           : w.param.value().elements();
  }
  return all ? 1 - double(kept) / double(all) : 0;
}

double sparsity_after(int round, int rounds, double sparsity) {
  return round == rounds ? sparsity : 1 - std::pow(1 - sparsity, double(round) / rounds);
}

std::vector<PrunedLayer> prune_in_rounds(Graph& graph, Criterion& criterion,
                                         const PruneOptions& options, int rounds,
                                         const std::vector<Batch>& sample) {
  std::vector<PrunedLayer> layers;
  PruneOptions now = options;
  for (int round = 1; round <= rounds; ++round) {
    now.sparsity = sparsity_after(round, rounds, options.sparsity);
    if (criterion.needs_data()) criterion.prepare(graph, sample);
    layers = prune(graph, criterion, now);
  }
  return layers;
}

}  // namespace pare
