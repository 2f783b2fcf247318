// Data sets in NumPy's .npz files: zip archives (stored or deflated, zip64 too) of .npy arrays
// (format versions 1 to 3, C or Fortran order, either byte order).
//
// Arrays, under these names or those that Keras uses:
//   train_images (x_train)   [N,H,W], [N,C,H,W] or [N,H,W,C]; integers in 0..255, b1, f4, f8
//   train_labels (y_train)   [N] or [N,1], any integers in 0..9999
//   test_images (x_test), test_labels (y_test)   the same
//   pixel_range              optional: two numbers, what black and white are
// Others are ignored. Where 1, 3 or 4 stands in one of the two places of C alone, it is the
// channels; else DatasetOptions say the order of axes, or the model does. Elements are scaled to
// mean 0 and deviation 1 per channel by the training part; integers are divided by 255 first.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "datasets/dataset.h"

namespace pare {

// Anything but such a file throws Error{bad_input} that names the file, the array, what was found
// and what was expected; nothing is allocated that the file's own size does not vouch for.
Dataset read_npz(const std::string& path, const DatasetOptions& options = {});
// `name` is used in messages.
Dataset parse_npz(std::span<const uint8_t> bytes, const std::string& name,
                  const DatasetOptions& options = {});

}  // namespace pare
