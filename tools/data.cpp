// pare data list | show NAME
#include "core/thread_pool.h"
#include "datasets/image.h"
#include "tools/command.h"
#include "tools/usage.h"

namespace pare::tool {
namespace {

struct DataCommand {
  CommonOptions common;
  std::string name;
  int64_t count = 5;

  void list() {
    common.refuse({"--axes", "--pixel-range", "--threads"},
                  "pare data list, which reads no images");
    note_data_dir(common);
    Json json = Json::array();
    std::string text;
    for (const DatasetInfo& d : list_datasets({.dir = common.data_dir})) {
      json.push_back({{"name", d.name}, {"description", d.description}, {"where", d.where}});
      text += fmt::format("{:<14} {:<52} {}\n", d.name, d.description,
                          d.where.empty() ? "not found" : d.where);
    }
    if (!text.empty()) text.pop_back();
    print_result(common, {{"data", json}}, text);
  }

  void show() {
    if (common.json && common.out.empty())
      common.refuse({"--count"}, "--json without --out, which draws no images");
    set_threads(common.threads);
    common.check_data_dir(name);
    const Dataset d = load_dataset(name, dataset_options(common));
    const Shape image = d.train.shape();
    run_files().writes(common.out, "--out", FileKind::png);
    note_excess(common, "--count", count, d.train.size(), "training images");
    std::string text = fmt::format(
        "{}: {} training and {} test images of {}, {}; {} classes, preprocessing {}\n", d.name,
        d.train.size(), d.test.size(), to_string(image), to_string(*d.preprocessing.pixels),
        d.classes.size(), d.preprocessing.to_json());
    if (const std::string idle = idle_classes(d); !idle.empty()) text += "note: " + idle + "\n";
    for (int64_t i = 0; i < std::min(count, d.train.size()); ++i) text += picture(d, i);
    text.pop_back();
    if (!common.out.empty()) {
      write_png(sheet(d), common.out);
      text += "\nwrote " + common.out;
    }
    print_result(common,
                 {{"name", d.name},
                  {"train", d.train.size()},
                  {"test", d.test.size()},
                  {"shape", std::vector<int64_t>(image.begin(), image.end())},
                  {"classes", d.classes}},
                 text);
  }

  // The first images side by side.
  Image sheet(const Dataset& d) const {
    const PixelRange& pixels = *d.preprocessing.pixels;
    const int64_t most = contact_sheet_capacity(d.train.images.size(2), d.train.images.size(3));
    std::vector<Image> images;
    for (int64_t i = 0; i < std::min({std::max<int64_t>(count, 1), d.train.size(), most}); ++i)
      images.push_back(to_image(d.train, i, pixels.low, pixels.high));
    return contact_sheet(images);
  }

  // 0 for black to 1 for white.
  static double level(float x, const PixelRange& pixels) {
    const double extent = pixels.high > pixels.low ? pixels.high - pixels.low : 1;
    return std::clamp((double(x) - pixels.low) / extent, 0.0, 1.0);
  }

  // An image in characters, two pixel rows a line.
  static std::string picture(const Dataset& d, int64_t i) {
    static constexpr std::string_view shades = " .:-=+*#%@";
    const Shape s = d.train.shape();
    const Tensor image = d.train.images.rows(i, i + 1).to(DType::f32);
    std::string text =
        fmt::format("class {}\n", d.classes[size_t(d.train.labels.data<int32_t>()[i])]);
    for (int64_t y = 0; y + 1 < s[1]; y += 2) {
      for (int64_t x = 0; x < s[2]; ++x) {
        float sum = 0;
        for (int64_t c = 0; c < s[0]; ++c)
          for (const int64_t row : {y, y + 1})
            sum += image.data<float>()[(c * s[1] + row) * s[2] + x];
        const double shade = level(sum / float(2 * s[0]), *d.preprocessing.pixels);
        text += shades[size_t(shade * 255 / 256 * double(shades.size()))];
      }
      text += '\n';
    }
    return text;
  }
};

}  // namespace

void add_data(CLI::App& app) {
  auto* command = app.add_subcommand("data", "the data sets that are known, and what is in them");
  command->footer("Example: pare data show digits");
  command->require_subcommand(1);
  auto o = std::make_shared<DataCommand>();
  const auto options = [o](CLI::App& c) {
    add_data_options(c, o->common);
    c.add_option("--threads", o->common.threads, "threads that compute; 0: all cores")
        ->check(between(0, max_threads));
    c.add_flag("--json", o->common.json, "print one JSON object");
    c.add_flag("--quiet", o->common.quiet, "no progress, no notes");
  };
  auto* list = command->add_subcommand("list", "names, and where each was found");
  options(*list);
  list->callback([o, list] {
    o->common.command = list;
    o->list();
  });
  auto* show = command->add_subcommand("show", "sizes, classes and a few images");
  options(*show);
  show->add_option("data", o->name, "data set")->required();
  show->add_option("--out", o->common.out, "PNG file for a sheet of the images");
  show->add_option("--count", o->count, "images to draw")->check(between(0, 1000));
  show->callback([o, show] {
    o->common.command = show;
    o->show();
  });
}

}  // namespace pare::tool
