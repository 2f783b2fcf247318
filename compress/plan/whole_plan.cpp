#include "compress/plan/whole_plan.h"

#include <algorithm>
#include <array>
#include <exception>
#include <optional>

#include "compress/plan/sparse_forms.h"

namespace pare::plan {
namespace {

constexpr std::array<int64_t, 2> batches{1, 64};
constexpr size_t many = 1;  // in `batches`

// Microseconds of one run on each of `batches`.
using Times = std::array<double, batches.size()>;
struct Trial {
  Times sparse{}, dense{};
  // For a loss within the noise a dense plan would lose the gains of other batches.
  bool sparse_is_slower(size_t batch) const {
    return sparse[batch] > noticeable_ratio * dense[batch];
  }
  bool sparse_is_slower() const {
    for (size_t i = 0; i < batches.size(); ++i)
      if (sparse_is_slower(i)) return true;
    return false;
  }
};

// The quickest of some runs of each, in turn: at most `runs`, fewer where the quickest would take
// `limit` microseconds together, but two, for one may have been interrupted.
Trial measure(Plan::State& sparse, Plan::State& dense, const Timing& timing, int runs,
              double limit) {
  Trial t;
  for (size_t i = 0; i < batches.size(); ++i) {
    Shape shape;
    for (int axis = 0; axis < dense.input_shape.size(); ++axis)
      shape.push_back(axis == 0 ? batches[i] : dense.input_shape[axis]);
    const Tensor x = dense.input_dtype == DType::f32 ? Tensor::full(shape, 0.5)
                                                     : Tensor::zeros(shape, dense.input_dtype);
    Tensor y;
    t.sparse[i] = timing.plan(sparse, x, y);
    t.dense[i] = timing.plan(dense, x, y);
    for (int k = 1; k < 2 || (k < runs && k * (t.sparse[i] + t.dense[i]) < limit); ++k) {
      t.sparse[i] = std::min(t.sparse[i], timing.plan(sparse, x, y));
      t.dense[i] = std::min(t.dense[i], timing.plan(dense, x, y));
    }
  }
  return t;
}

std::string account(const Trial& t, const std::string& verdict) {
  std::string text;
  for (size_t i = 0; i < batches.size(); ++i)
    text += message("on {} image{} sparse {}, dense {}; ", batches[i], batches[i] == 1 ? "" : "s",
                    micros(t.sparse[i]), micros(t.dense[i]));
  return text + verdict;
}

// Whether `sparse` holds against `dense`; a verdict against it has to stand a longer trial.
bool holds(Plan::State& sparse, Plan::State& dense, const Timing& timing, Trial& trial) {
  trial = measure(sparse, dense, timing, 10, 2e4);
  if (trial.sparse_is_slower()) trial = measure(sparse, dense, timing, 60, 5e5);
  return !trial.sparse_is_slower();
}

// What became of the layers under `use`, in words.
const char* outcome(const SparseUse& use) {
  if (use == dense_alone) return "every layer runs dense";
  if (use.convolutions)
    return use.one_image ? "sparse layers stay" : "one image runs dense layers dense";
  return use.one_image ? "convolutions run dense" : "convolutions run dense, and one image all";
}

StatePtr hold_against_dense(StatePtr sparse, const std::function<StatePtr(SparseUse)>& make,
                            const Timing& timing) {
  StatePtr dense = make(dense_alone);
  Trial first;
  if (holds(*sparse, *dense, timing, first)) {
    sparse->account = account(first, outcome({}));
    return sparse;
  }
  const std::string before = account(first, "with fewer sparse layers ");
  const bool both = sparse->sparse_dense && sparse->sparse_conv;
  for (const bool convolutions : {true, false}) {
    if (!sparse->sparse_dense || (!convolutions && !both)) continue;
    std::optional<Trial> with_one_image;
    if (convolutions) with_one_image = first;
    for (const bool one_image : {true, false}) {
      const SparseUse use{true, convolutions, one_image};
      if (use == SparseUse{}) continue;
      if (!one_image && (!with_one_image || with_one_image->sparse_is_slower(many))) continue;
      StatePtr some = make(use);
      if (!some->sparse_dense) continue;
      Trial trial;
      if (!holds(*some, *dense, timing, trial)) {
        with_one_image = trial;
        continue;
      }
      some->account = before + account(trial, outcome(use));
      some->overruled = !convolutions;
      return some;
    }
  }
  dense->account = account(first, outcome(dense_alone));
  dense->overruled = true;
  return dense;
}

}  // namespace

StatePtr quickest_plan(const std::function<StatePtr(SparseUse)>& make, const Timing& timing) {
  StatePtr chosen = make({});
  if (!chosen->sparse_dense && !chosen->sparse_conv) return chosen;
  try {
    chosen = hold_against_dense(std::move(chosen), make, timing);
  } catch (const std::exception& e) {
    // A trial may be refused: by an op of the graph's own, whose images these are not, or by
    // memory.
    chosen = make({});
    chosen->account = message("as each layer chose; it could not be timed: {}", e.what());
  }
  chosen->spare.clear();  // the memory of a trial's batch
  return chosen;
}

}  // namespace pare::plan
