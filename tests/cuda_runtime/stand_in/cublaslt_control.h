// What tests tell the stand-in cuBLASLt, and what they ask it.
#pragma once

#include <cstddef>

namespace stand_in {

struct Lt {
  bool knows = true;     // an algorithm
  size_t workspace = 0;  // bytes that it wants
  int fails = 0;         // the status of the next product
  int compute = 0;       // the last type of computing that was asked for
  size_t searches = 0, products = 0, preferences = 0;
};
extern Lt lt;

}  // namespace stand_in
