// Sparse or dense, by measurement at compile time: each form runs a few times, the quickest stays.
// A choice changes no bit where the dense form is the direct one.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compress/plan/parts.h"
#include "compress/plan/plan.h"
#include "compress/plan/sparse_forms.h"
#include "core/error.h"

namespace pare::plan {
namespace {

// The quickest of some runs, in microseconds: at most seven, fewer where it alone takes long, but
// two, for one may have been interrupted.
double measure(const Timing& timing, const Step& step, int64_t images, std::byte* const* at,
               int64_t parts = 1) {
  double best = 1e30;
  for (int i = 0; i < 2 || (i < 7 && i * best < 1e4); ++i)
    best = std::min(best, timing.step(step, {images, at}, parts));
  return best;
}
// The same in as many parts as the step is cut into in a plan.
double measure_shared(const Timing& timing, const Step& step, int64_t images,
                      std::byte* const* at) {
  return measure(timing, step, images, at, shares_steps(images) ? step.parts(images) : 1);
}

// A step between values 0 and 1, with value 2 for a residual, for measurements.
StepPtr between(StepPtr step) {
  step->inputs = {0};
  step->output = 1;
  return step;
}
struct Values {
  Tensor x, y, residual;
  std::byte* at[3];
  Values(const Shape& in, const Shape& out)
      : x(Tensor::full(in, 0.5)), y(Tensor::zeros(out)), residual(Tensor::full(out, 0.5)) {
    at[0] = x.data<std::byte>(), at[1] = y.data<std::byte>(), at[2] = residual.data<std::byte>();
  }
};

int64_t percent_zeros(const Tensor& w) {
  if (w.elements() == 0) return 0;
  return 100 * std::count(w.data<float>(), w.data<float>() + w.elements(), 0.0f) / w.elements();
}

// Sizes of batch that may differ in their choice: up to `last` images, measured at `at`.
struct SizeClass {
  int64_t last, at;
};
constexpr std::array<SizeClass, 6> classes{
    {{1, 1}, {3, 3}, {7, 6}, {15, 12}, {31, 24}, {INT64_MAX, 64}}};
constexpr size_t large = classes.size() - 1;

// A dense layer whose form depends on the number of images. Large batches are cut into blocks of 64
// or 32 images; what is left is a smaller batch.
class ByBatchStep : public Step {
 public:
  void add(StepPtr form) { forms_.push_back(std::move(form)); }
  size_t count() const { return forms_.size(); }
  Step& form(size_t i) { return *forms_[i]; }
  void choose(size_t size_class, size_t form) { choice_[size_class] = form; }
  // What runs on so many images.
  const Step& of(int64_t images) const {
    size_t c = 0;
    while (images > classes[c].last) ++c;
    return *forms_[choice_[c]];
  }
  const std::string& form_for(int64_t images) const override { return of(images).kernel; }
  // Forms that no class chose give their weights back.
  void drop_unused() {
    for (size_t i = 0; i < forms_.size(); ++i)
      if (std::find(choice_.begin(), choice_.end(), i) == choice_.end()) forms_[i].reset();
  }
  int64_t packed_bytes() const override {
    int64_t bytes = 0;
    for (const StepPtr& f : forms_) bytes += f ? f->packed_bytes() : 0;
    return bytes;
  }
  int64_t parts(int64_t images) const override { return of(images).parts(images); }
  // Cut into parts only where one form takes all.
  void run(const Frame& f, int64_t part, int64_t parts) const override {
    int64_t first = 0, count = f.images;
    if (choice_[large] != 0)
      for (; count >= 32; first += count, count = f.images - first)
        run_some(f, first, count = count >= 64 ? count / 64 * 64 : 32, 0, 1);
    if (count > 0) run_some(f, first, count, part, parts);
  }
  void name_values() {
    for (const StepPtr& f : forms_)
      if (f) f->inputs = {0}, f->output = 1;
  }
  int residual = -1;
  int64_t in = 0, out = 0;

 private:
  void run_some(const Frame& f, int64_t first, int64_t count, int64_t part, int64_t parts) const {
    std::byte* at[3] = {reinterpret_cast<std::byte*>(f.of(inputs[0]) + first * in),
                        reinterpret_cast<std::byte*>(f.of(output) + first * out), nullptr};
    if (residual >= 0) at[2] = reinterpret_cast<std::byte*>(f.of(residual) + first * out);
    of(count).run({count, at}, part, parts);
  }

  std::vector<StepPtr> forms_;
  std::array<size_t, classes.size()> choice_{};
};

std::string span(size_t c) {
  const int64_t first = c == 0 ? 1 : classes[c - 1].last + 1;
  return c == large                 ? message("from {}", first)
         : first == classes[c].last ? message("{}", first)
                                    : message("{}-{}", first, classes[c].last);
}

}  // namespace

std::string micros(double us) {
  return us < 1000 ? fmt::format("{:.4g} us", us) : fmt::format("{:.4g} ms", us / 1000);
}

bool worth_trying_sparse(const Tensor& weight) {
  return percent_zeros(weight) >= percent_zeros_for_sparse;
}

StepPtr sparse_or_dense_step(const DenseSpec& spec, const Timing& timing, bool one_image) {
  StepPtr dense = dense_step(spec);
  if (!worth_trying_sparse(spec.weight)) return dense;
  auto step = std::make_unique<ByBatchStep>();
  step->in = spec.weight.size(1);
  step->out = spec.weight.size(0);
  step->residual = spec.residual;
  DenseSpec inner = spec;
  inner.residual = spec.residual < 0 ? -1 : 2;
  step->add(between(dense_step(inner)));
  for (const cpu::SparseForm form : forms_for(inner))
    step->add(between(sparse_lanes_step(inner, form)));
  const size_t row_form = step->count();
  if (spec.residual < 0) step->add(between(sparse_row_step(inner)));
  const Values v({64, step->in}, {64, step->out});
  std::string chosen, measured;
  bool any = false;
  for (size_t c = 0; c < classes.size(); ++c) {
    std::vector<double> took;
    for (size_t i = 0; i < step->count(); ++i) {
      // Few images: lanes would stand empty; many: the row kernel reads its weights for each.
      const bool fits = i == 0 || (i == row_form ? c < 4 && (c > 0 || one_image) : c > 1);
      took.push_back(fits ? measure_shared(timing, step->form(i), classes[c].at, v.at) : 1e30);
    }
    // Sparse has to win by more than the noise of a short measurement.
    size_t best = 0;
    for (size_t i = 1; i < took.size(); ++i)
      if (took[i] < 0.97 * took[0] && (best == 0 || took[i] < took[best])) best = i;
    step->choose(c, best);
    any = any || best != 0;
    chosen += message("{}{}: {}", c ? ", " : "", span(c),
                      best ? step->of(classes[c].at).kernel : "dense");
    if (c != 0 && c != large) continue;
    measured += message("; on {} image{} dense {}", classes[c].at, c ? "s" : "", micros(took[0]));
    for (size_t i = 1; i < took.size(); ++i)
      if (took[i] < 1e30) measured += message(", {} {}", step->form(i).kernel, micros(took[i]));
  }
  const std::string why = message(" ({} % zeros{})", percent_zeros(spec.weight), measured);
  if (!any) {
    dense->kernel += why;
    dense->zeros = ZerosUse::dense_won;
    return dense;
  }
  step->kernel = "sparse or dense by batch, " + chosen + why;
  step->zeros = ZerosUse::sparse;
  step->drop_unused();
  return step;
}

ConvChoice choose_conv(const ConvSpec& given, const ConvPlace& place, const Timing& timing) {
  ConvSpec spec = given;
  if (spec.residual >= 0) spec.residual = 2;
  const Values v(spec.x, spec.y);
  const auto conversion = [&](const Shape& shape) {
    return measure(timing, *between(convert_step(shape, Layout::nhwc)), 1, Values(shape, shape).at);
  };
  double dense = measure(timing, *between(conv_step(spec)), 1, v.at), around = 0;
  std::string why =
      message("{} % zeros; on 1 image dense {}", percent_zeros(spec.weight), micros(dense));
  if (place.x_plain)
    dense += conversion(spec.x);
  else
    around += conversion(spec.x);
  if (place.residual_nhwc) around += conversion(spec.y);
  if (place.y_nhwc) around += conversion(spec.y);
  ConvChoice choice;
  choice.zeros = ZerosUse::dense_won;
  double quickest = 0.97 * dense;
  for (const cpu::SparseForm form : forms_for(spec)) {
    const double took = measure(timing, *between(sparse_conv_step(spec, form)), 1, v.at);
    why += message(", {} {}", name_of(form), micros(took));
    if (took < quickest && !choice.form) choice.zeros = ZerosUse::conversions_cost;
    if (took + around >= quickest) continue;
    quickest = took + around;
    choice.form = form;
    choice.zeros = ZerosUse::sparse;
  }
  if (around > 0) why += message(", conversions {}", micros(around));
  choice.why = " (" + why + ")";
  return choice;
}

}  // namespace pare::plan
