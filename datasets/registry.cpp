// The data sets known by name, and where their files are looked for.
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>

#include "datasets/cifar.h"
#include "datasets/dataset.h"
#include "datasets/digits.h"
#include "datasets/gzip.h"
#include "datasets/idx.h"
#include "datasets/npz.h"

namespace pare {
namespace {

using Paths = std::vector<std::string>;

constexpr const char* generated = "digits";  // needs no files
constexpr std::string_view npz_prefix = "npz:";

struct Entry {
  std::string_view name, description, folder;
  std::vector<std::string_view> files;  // plain names; each may be there as NAME.gz instead
  Dataset (*read)(const Paths& files);
};

bool is_file(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Paths roots(const DatasetOptions& options) {
  if (!options.dir.empty()) return {options.dir};
  Paths out;
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (const std::string dir = variable("PARE_DATA"); !dir.empty()) out.push_back(dir);
  if (const std::string dir = variable("XDG_CACHE_HOME"); !dir.empty())
    out.push_back(dir + "/pare");
  else if (const std::string home = variable("HOME"); !home.empty())
    out.push_back(home + "/.cache/pare");
  return out;
}

// Paths of the entry's files in `root`, or none when one is missing.
Paths files_in(const Entry& entry, const std::string& root) {
  Paths out;
  for (const std::string_view file : entry.files) {
    const std::string plain = message("{}/{}/{}", root, entry.folder, file);
    if (is_file(plain))
      out.push_back(plain);
    else if (is_file(plain + ".gz"))
      out.push_back(plain + ".gz");
    else
      return {};
  }
  return out;
}

Examples read_idx_pair(const std::string& images_path, const std::string& labels_path) {
  const IdxFile images = read_idx(images_path), labels = read_idx(labels_path);
  expect(images.extents.size() == 3, images_path, "{} axes, images have 3", images.extents.size());
  expect(labels.extents.size() == 1, labels_path, "{} axes, labels have 1", labels.extents.size());
  const int64_t n = images.extents[0];
  expect(labels.extents[0] == n, labels_path, "{} labels for {} images in {}", labels.extents[0], n,
         images_path);
  Examples out{Tensor::empty({n, 1, images.extents[1], images.extents[2]}, DType::u8),
               Tensor::empty({n}, DType::i32)};
  if (!images.bytes.empty())
    std::memcpy(out.images.raw(), images.bytes.data(), images.bytes.size());
  for (int64_t i = 0; i < n; ++i) out.labels.data<int32_t>()[i] = labels.bytes[size_t(i)];
  check_examples(out, 10, labels_path);
  return out;
}

Dataset read_mnist(const Paths& f) {
  return {.name = "mnist",
          .train = read_idx_pair(f[0], f[1]),
          .test = read_idx_pair(f[2], f[3]),
          .classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
          .preprocessing = {.mean = {0.1307}, .deviation = {0.3081}},
          .augmentation = {}};
}

Dataset read_fashion(const Paths& f) {
  return {.name = "fashion-mnist",
          .train = read_idx_pair(f[0], f[1]),
          .test = read_idx_pair(f[2], f[3]),
          .classes = {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt",
                      "sneaker", "bag", "ankle boot"},
          .preprocessing = {.mean = {0.2860}, .deviation = {0.3530}},
          .augmentation = {}};
}

Dataset read_cifar10(const Paths& f) {
  return {
      .name = "cifar10",
      .train = read_cifar({f.begin(), f.begin() + 5}, {}),
      .test = read_cifar({f[5]}, {}),
      .classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
                  "truck"},
      .preprocessing = {.mean = {0.4914, 0.4822, 0.4465}, .deviation = {0.2470, 0.2435, 0.2616}},
      .augmentation = "crop,flip"};
}

Dataset read_cifar100(const Paths& f) {
  return {
      .name = "cifar100",
      .train = read_cifar({f[0]}, {.records = 50000, .label_bytes = 2, .classes = 100}),
      .test = read_cifar({f[1]}, {.records = 10000, .label_bytes = 2, .classes = 100}),
      .classes = {"apple",    "aquarium_fish", "baby",       "bear",         "beaver",
                  "bed",      "bee",           "beetle",     "bicycle",      "bottle",
                  "bowl",     "boy",           "bridge",     "bus",          "butterfly",
                  "camel",    "can",           "castle",     "caterpillar",  "cattle",
                  "chair",    "chimpanzee",    "clock",      "cloud",        "cockroach",
                  "couch",    "crab",          "crocodile",  "cup",          "dinosaur",
                  "dolphin",  "elephant",      "flatfish",   "forest",       "fox",
                  "girl",     "hamster",       "house",      "kangaroo",     "keyboard",
                  "lamp",     "lawn_mower",    "leopard",    "lion",         "lizard",
                  "lobster",  "man",           "maple_tree", "motorcycle",   "mountain",
                  "mouse",    "mushroom",      "oak_tree",   "orange",       "orchid",
                  "otter",    "palm_tree",     "pear",       "pickup_truck", "pine_tree",
                  "plain",    "plate",         "poppy",      "porcupine",    "possum",
                  "rabbit",   "raccoon",       "ray",        "road",         "rocket",
                  "rose",     "sea",           "seal",       "shark",        "shrew",
                  "skunk",    "skyscraper",    "snail",      "snake",        "spider",
                  "squirrel", "streetcar",     "sunflower",  "sweet_pepper", "table",
                  "tank",     "telephone",     "television", "tiger",        "tractor",
                  "train",    "trout",         "tulip",      "turtle",       "wardrobe",
                  "whale",    "willow_tree",   "wolf",       "woman",        "worm"},
      .preprocessing = {.mean = {0.5071, 0.4865, 0.4409}, .deviation = {0.2673, 0.2564, 0.2762}},
      .augmentation = "crop,flip"};
}

Dataset of_bytes(Dataset data) {
  data.preprocessing.pixels = PixelRange{};
  return data;
}

const std::vector<Entry>& entries() {
  static const std::vector<std::string_view> idx{
      "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
      "t10k-labels-idx1-ubyte"};
  static const std::vector<Entry> all{
      {"mnist", "handwritten digits, 60,000 + 10,000 of 28x28, grey", "mnist", idx, read_mnist},
      {"fashion-mnist", "clothes, 60,000 + 10,000 of 28x28, grey", "fashion-mnist", idx,
       read_fashion},
      {"cifar10",
       "ten kinds of things, 50,000 + 10,000 of 32x32, colour",
       "cifar-10-batches-bin",
       {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
        "data_batch_5.bin", "test_batch.bin"},
       read_cifar10},
      {"cifar100",
       "a hundred kinds of things, 50,000 + 10,000 of 32x32, colour",
       "cifar-100-binary",
       {"train.bin", "test.bin"},
       read_cifar100},
  };
  return all;
}

}  // namespace

Dataset load_dataset(const std::string& name, const DatasetOptions& options) {
  if (name.starts_with(npz_prefix)) {
    check(options.axes.empty() || options.axes == "chw" || options.axes == "hwc",
          "axes '{}' (--axes), expected chw or hwc", options.axes);
    check(name.size() > npz_prefix.size(), "'{}' names no archive; it is npz:FILE", name);
    return read_npz(name.substr(npz_prefix.size()), options);
  }
  check(options.axes.empty() && !options.pixels,
        "axes and pixel range belong to an archive (npz:FILE); '{}' has its own", name);
  if (name == generated) return of_bytes(make_digits());
  std::vector<std::string_view> names{generated};
  for (const Entry& entry : entries()) {
    names.push_back(entry.name);
    if (entry.name != name) continue;
    std::string looked;
    for (const std::string& root : roots(options)) {
      const Paths files = files_in(entry, root);
      if (!files.empty()) {
        Dataset data = of_bytes(entry.read(files));
        check_dataset(data);
        return data;
      }
      looked += message("{}{}/{}", looked.empty() ? "" : ", ", root, entry.folder);
    }
    std::string wanted;
    for (const std::string_view file : entry.files)
      wanted += message("{}{}", wanted.empty() ? "" : ", ", file);
    fail(ErrorCode::bad_input,
         "data set '{}' not found: wanted {} (plain or .gz); looked in {}; name the folder that "
         "holds {}/ with --data-dir or PARE_DATA",
         name, wanted, looked.empty() ? "no folder (PARE_DATA and HOME are not set)" : looked,
         entry.folder);
  }
  fail(ErrorCode::usage, "unknown data set '{}'{} (or npz:FILE)", name,
       suggest(name, names.data(), names.size()));
}

std::vector<DatasetInfo> list_datasets(const DatasetOptions& options) {
  std::vector<DatasetInfo> out{
      {generated, "drawn digits, 60,000 + 10,000 of 28x28, grey", "generated"}};
  for (const Entry& entry : entries()) {
    DatasetInfo info{std::string(entry.name), std::string(entry.description), ""};
    for (const std::string& root : roots(options))
      if (info.where.empty() && !files_in(entry, root).empty())
        info.where = message("{}/{}", root, entry.folder);
    out.push_back(info);
  }
  return out;
}

}  // namespace pare
