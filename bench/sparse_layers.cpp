// Times sparse layers against the dense direct form, layer by layer: steps of a plan on one or two
// threads, the forms taking turns, medians over the turns.
//   sparse_layers [--threads N] [--peak GFLOPS] [--only PART_OF_A_NAME] [--clock cpu]
// A row: layer, structure of the zeros, their share, batch; microseconds of the dense form (nhwc in
// and out) and of the best sparse form; their ratio; the ratio where the sparse convolution stands
// alone and its input and output are converted from and to nhwc; multiply-adds of nonzero weights
// as a share of the peak that bench/fma_peak prints for the threads.
// PARE_ISA=avx2 caps the instruction set. --clock cpu counts the process's own time, for one thread
// on a machine that others use.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "compress/plan/sparse_forms.h"
#include "core/cpu/isa.h"
#include "core/cpu/kernels/sparse.h"
#include "core/error.h"
#include "core/random.h"
#include "core/thread_pool.h"

using namespace pare;
using namespace pare::plan;

namespace {

clockid_t clock_id = CLOCK_MONOTONIC;
double now_us() {
  timespec t{};
  clock_gettime(clock_id, &t);
  return double(t.tv_sec) * 1e6 + double(t.tv_nsec) * 1e-3;
}

struct Layer {
  const char* name;
  int64_t in, out, kernel, size;  // size 0: dense
};
constexpr Layer layers[] = {
    {"dense 784x300", 784, 300, 1, 0},           {"dense 1024x1024", 1024, 1024, 1, 0},
    {"conv 3x3 16-16 32x32", 16, 16, 3, 32},     {"conv 3x3 32-32 16x16", 32, 32, 3, 16},
    {"conv 3x3 64-64 8x8", 64, 64, 3, 8},        {"conv 3x3 32-32 32x32", 32, 32, 3, 32},
    {"conv 3x3 64-64 16x16", 64, 64, 3, 16},     {"conv 1x1 64-64 32x32", 64, 64, 1, 32},
    {"conv 1x1 128-128 16x16", 128, 128, 1, 16}, {"conv 1x1 256-256 8x8", 256, 256, 1, 8},
};

// A random matrix with exactly the share of its blocks of `rows` outputs zero.
Tensor weights(const Layer& l, int64_t rows, double zeros) {
  const int64_t k = l.in * l.kernel * l.kernel;
  const Tensor w =
      l.size ? Tensor::zeros({l.out, l.in, l.kernel, l.kernel}) : Tensor::zeros({l.out, l.in});
  Rng rng(1);
  const int64_t blocks = (l.out + rows - 1) / rows * k;
  std::vector<std::pair<float, int64_t>> order;
  for (int64_t b = 0; b < blocks; ++b) order.push_back({rng.uniform(), b});
  std::sort(order.begin(), order.end());
  for (auto i = size_t(double(blocks) * zeros); i < order.size(); ++i)
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t o = order[i].second / k * rows + r;
      if (o < l.out) w.data<float>()[o * k + order[i].second % k] = float(rng.normal()) + 3;
    }
  return w;
}

// A form under test: steps one after the other, between values 0 and 1.
struct Form {
  std::string name;
  std::vector<StepPtr> steps;
  std::vector<double> times;

  void run(int64_t images, const std::vector<Tensor>& values) const {
    std::byte* at[8];
    const auto place = [&](std::byte** to, int64_t first, int64_t count) {
      for (size_t v = 0; v < values.size(); ++v)
        to[v] =
            values[v].data<std::byte>() + int64_t(values[v].bytes()) / values[v].size(0) * first;
      return Frame{count, to};
    };
    const int64_t workers = threads();
    if (workers > 1 && images >= 2 * workers)
      return parallel_for(workers, [&](int64_t t) {
        std::byte* mine[8];
        const int64_t first = images * t / workers, last = images * (t + 1) / workers;
        const Frame f = place(mine, first, last - first);
        for (const StepPtr& s : steps) s->run(f, 0, 1);
      });
    const Frame f = place(at, 0, images);
    for (const StepPtr& s : steps) {
      const int64_t parts = s->parts(images);
      parallel_for(parts, [&](int64_t part) { s->run(f, part, parts); });
    }
  }
  double median() {
    std::nth_element(times.begin(), times.begin() + int64_t(times.size() / 2), times.end());
    return times[times.size() / 2];
  }
};

StepPtr wired(StepPtr step, int from, int to) {
  step->inputs = {from};
  step->output = to;
  return step;
}

std::vector<Form> forms_of(const Layer& l, const Tensor& w, const Shape& x, const Shape& y) {
  std::vector<Form> forms;
  const auto add = [&](std::string name) -> Form& {
    forms.push_back({std::move(name), {}, {}});
    return forms.back();
  };
  if (l.size == 0) {
    const DenseSpec s{w, Tensor::zeros({l.out}), true, -1};
    add("dense").steps.push_back(wired(dense_step(s), 0, 1));
    for (const cpu::SparseForm form : forms_for(s))
      add(name_of(form)).steps.push_back(wired(sparse_lanes_step(s, form), 0, 1));
    add("rows").steps.push_back(wired(sparse_row_step(s), 0, 1));
    return forms;
  }
  ConvSpec s;
  s.winograd = false;  // the yardstick is the direct form
  s.weight = w, s.bias = Tensor::zeros({l.out}), s.x = x, s.y = y;
  s.padding = l.kernel / 2, s.relu = true;
  add("dense").steps.push_back(wired(conv_step(s), 0, 1));
  for (const cpu::SparseForm form : forms_for(s)) {
    add(name_of(form)).steps.push_back(wired(sparse_conv_step(s, form), 0, 1));
    Form& alone = add(message("{} alone", name_of(form)));
    alone.steps.push_back(wired(convert_step(x, Layout::nhwc), 0, 2));
    alone.steps.push_back(wired(sparse_conv_step(s, form), 2, 3));
    alone.steps.push_back(wired(convert_step(y, Layout::plain), 3, 1));
  }
  return forms;
}

void measure(const Layer& l, int rows, double zeros, int64_t batch, double peak) {
  const Tensor w = weights(l, rows, zeros);
  const Shape x = l.size ? Shape{1, l.in, l.size, l.size} : Shape{1, l.in};
  const Shape y = l.size ? Shape{1, l.out, l.size, l.size} : Shape{1, l.out};
  std::vector<Form> forms = forms_of(l, w, x, y);
  // As a plan does, a large batch goes through in frames that stay in the cache.
  const int64_t bytes = 4 * (x.elements() + y.elements());
  const int64_t frame =
      std::min<int64_t>(batch, std::max<int64_t>(threads() * (1 << 20) / bytes, 2 * threads()));
  std::vector<Tensor> values;
  for (const Shape& of : {x, y, x, y}) {
    Shape shape = of;
    shape.set(0, frame);
    values.push_back(Tensor::full(shape, 0.5));
  }
  double spent = 0;
  for (int turn = 0; turn < 200 && (turn < 7 || spent < 0.15); ++turn)
    for (Form& f : forms) {
      const double start = now_us();
      for (int64_t done = 0; done < batch; done += frame)
        f.run(std::min(frame, batch - done), values);
      const double took = now_us() - start;
      spent += took * 1e-6;
      if (turn > 1) f.times.push_back(took);
    }
  Form *best = nullptr, *alone = nullptr;
  for (size_t i = 1; i < forms.size(); ++i) {
    Form*& to = forms[i].name.ends_with("alone") ? alone : best;
    if (!to || forms[i].median() < to->median()) to = &forms[i];
  }
  const double dense = forms[0].median(), sparse = best->median();
  const double pixels = l.size ? double(l.size * l.size) : 1;
  const double macs = pixels * double(batch) * double(w.elements()), nonzero = macs * (1 - zeros);
  std::printf("%-23s %-12s %3.0f%% %4d  dense %8.1f  sparse %8.1f (%s)  %5.2fx", l.name,
              rows == 1 ? "single" : message("{}x1", rows).c_str(), 100 * zeros, int(batch), dense,
              sparse, best->name.c_str(), dense / sparse);
  if (alone) std::printf("  alone %5.2fx", dense / alone->median());
  if (peak > 0)
    std::printf("  peak: dense %2.0f%%, sparse %2.0f%%", 2e-3 * macs / dense / peak * 100,
                2e-3 * nonzero / sparse / peak * 100);
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  double peak = 0;
  std::string only;
  set_threads(1);
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--threads" && !value.empty())
      set_threads(std::atoi(value.c_str()));
    else if (option == "--peak" && !value.empty())
      peak = std::atof(value.c_str());
    else if (option == "--only")
      only = value;
    else if (option == "--clock" && value == "cpu")
      clock_id = CLOCK_PROCESS_CPUTIME_ID;
    else
      fail(ErrorCode::usage,
           "{} {}: expected --threads N, --peak GFLOPS, --only PART_OF_A_NAME or --clock cpu",
           option, value);
  }
  for (const Layer& l : layers)
    for (const int rows : {1, 4, 8})
      for (const double zeros : {0.8, 0.9, 0.95})
        for (const int64_t batch : {1, 32, 128}) {
          const std::string name = message("{} {}x1 {} {}", l.name, rows, zeros, batch);
          if (name.find(only) == std::string::npos || (l.size && batch == 128)) continue;
          measure(l, rows, zeros, batch, peak);
        }
  return 0;
} catch (const Error& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return int(e.code());
}
