// Generated handwritten digits: the data set that is always there.
//
// Every digit has a few writing styles, each a set of strokes. A sample bends them (affine and
// smooth local distortion), draws them with a pen of some width, and adds stray strokes, gaps and
// noise. All arithmetic is on integers and every image is a function of (seed, index), so the bytes
// are the same on every machine and for every number of threads.
#pragma once

#include "datasets/dataset.h"

namespace pare {

struct DigitsOptions {
  int64_t train = 60000, test = 10000;
  uint64_t seed = 1;
};

// Images of 28x28, grey, the ten digits in equal shares. Throws Error{usage} for sizes below 1.
Dataset make_digits(const DigitsOptions& options = {});

// `count` examples from `first` on; make_digits takes the test part from behind the training part.
Examples draw_digits(uint64_t seed, int64_t first, int64_t count);

}  // namespace pare
