// Data sets: labelled images in memory, with the preprocessing that belongs to them.
//
// A data set of one's own is a Dataset filled by hand and passed to check_dataset; anything that
// trains or evaluates takes Examples and Preprocessing and asks for no name. Named data sets come
// from load_dataset.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "datasets/pixels.h"

namespace pare {

struct Examples {
  Tensor images;  // u8 or f32, N,C,H,W, plain
  Tensor labels;  // i32, N

  int64_t size() const { return labels.defined() ? labels.size(0) : 0; }
  Shape shape() const;  // of one image: C,H,W
  // Both tensors on `device`; loaders then make their batches there.
  Examples to(Device device) const;
  // Copies of the examples at `indices`, each in [0, size()), in that order.
  Examples slice(std::span<const int64_t> indices) const;
};

// What is done to an element x of channel c before a network sees it:
// (x * scale - mean[c]) / deviation[c], computed in float as x * a[c] + b[c].
struct Preprocessing {
  double scale = 1.0 / 255;
  std::vector<double> mean = {};          // one a channel; empty: 0
  std::vector<double> deviation = {};     // one a channel, > 0; empty: 1
  std::optional<PixelRange> pixels = {};  // what x is; absent: not said
  std::string axes = {};                  // of the images where they came from: "chw", "hwc" or ""
  Shape size = {};                        // of one image, C,H,W; no axes: not said

  // {"scale":s,"mean":[...],"deviation":[...]} and what else is known: "pixels":"bytes" ("floats",
  // "unknown") with "range":[low,high], "axes":"hwc", "size":[c,h,w]. Numbers are read back
  // exactly.
  std::string to_json() const;
  // Throws Error{bad_input} on anything but such an object with finite numbers. Files of older
  // versions have the first three keys alone.
  static Preprocessing from_json(std::string_view text);

  // The same for images of `channels` channels whose elements are `data`, converted to what
  // `pixels` says: a network gets the same numbers for the same picture. Throws Error{bad_input}
  // naming both where that cannot be (map_pixels), or where `pixels` is absent.
  Preprocessing for_pixels(const PixelRange& data, int64_t channels) const;

  // Throws Error{bad_input} unless it fits images of that many channels and is finite in floats.
  void check_channels(int64_t channels) const;
  struct Affine {
    float a, b;
  };
  Affine affine(int64_t channel) const;
  // One channel's elements.
  void apply(const uint8_t* in, float* out, int64_t n, int64_t channel) const;
  void apply(const float* in, float* out, int64_t n, int64_t channel) const;

  bool operator==(const Preprocessing&) const = default;
};

struct Dataset {
  std::string name;
  Examples train, test;
  std::vector<std::string> classes;  // the label's index gives its name
  Preprocessing preprocessing;
  std::string augmentation = {};  // what suits it, as Augmentation::parse takes it; often empty
  // Share of the training part that is held out for decisions (hold_out). A saved model brings the
  // share it was trained with, so that nobody decides on what it has seen.
  double holdout = 0.1;
  bool named = true;  // `classes` are names; false: they count the labels, for want of names
};

// What the pixels of both parts are, by all their values. Throws Error{bad_input} naming both where
// the parts cannot be of one unit.
PixelRange pixels_of(const Dataset& data);

struct DatasetOptions {
  // Folder that holds the data sets' folders. Empty: $PARE_DATA, then the user's cache
  // ($XDG_CACHE_HOME/pare, else ~/.cache/pare).
  std::string dir = {};
  // For archives. Axis order of the images, "chw" or "hwc"; "": what their shape tells, else what
  // fits `model`, else Error{bad_input}.
  std::string axes = {};
  std::optional<PixelRange> pixels = {};    // what an element is; absent: as the values tell
  std::optional<Preprocessing> model = {};  // of the model that takes them: its axes and size
};

struct DatasetInfo {
  std::string name, description;
  std::string where;  // its folder when its files are there, "generated", or "" when not found
};

// A data set by name: digits, mnist, fashion-mnist, cifar10, cifar100, or npz:FILE (npz.h). An
// unknown name throws Error{usage} with close names; missing files throw Error{bad_input} that
// lists them and where they were looked for; damaged files throw Error{bad_input}.
Dataset load_dataset(const std::string& name, const DatasetOptions& options = {});
std::vector<DatasetInfo> list_datasets(const DatasetOptions& options = {});

// Throws Error{bad_input} unless `examples` are non-empty and well formed, with as many labels as
// images and every label in [0, classes). `name` is used in messages.
void check_examples(const Examples& examples, int64_t classes, const std::string& name);
// Throws Error{bad_input} where the preprocessing cannot be meant for these elements: floats of
// 0..1 divided by 255, 0..255 left undivided, bytes taken for floats, values far outside what
// `pixels` says (in the first images; in `all`). `name` is used in messages. Images on another
// device are not looked at.
void check_pixels(const Examples& examples, const Preprocessing& p, const std::string& name,
                  bool all = false);
// Both parts, equal image shapes, and preprocessing that fits.
void check_dataset(const Dataset& data);

std::vector<std::string> numbered_classes(int64_t n);  // "0", "1", ...
// What to tell people where classes have no training example, labels from 1 say; "": all have.
std::string idle_classes(const Dataset& data);

struct Split {
  Examples train, held_out;
  std::vector<int64_t> train_indices;  // which of the examples those of `train` are, ascending
  double fraction = 0;                 // as asked
};
// Sets aside round(fraction * size) examples (at least one when fraction > 0), 0 <= fraction < 1.
// Example i is held out when its key, a fixed hash of i, is among the smallest: the split depends
// on the number of examples and nothing else, so every run of every seed holds out the same ones.
Split hold_out(const Examples& examples, double fraction);
// The indices it holds out, ascending.
std::vector<int64_t> held_out_indices(int64_t size, double fraction);

}  // namespace pare
