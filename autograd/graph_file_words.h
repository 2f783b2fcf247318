// What the writer and the reader of graphs agree on: the version, keys, and enumerations as words.
#pragma once

#include <algorithm>

#include "autograd/graph.h"
#include "autograd/mask_code.h"

namespace pare::graph_file {

constexpr int graph_version = 3;  // 2: masks may lie as gaps; 3: as tiles and runs
constexpr const char* graph_key = "graph";
template <class E>
struct Word {
  E value;
  const char* text;
};
constexpr Word<ValueKind> kinds[] = {{ValueKind::input, "input"},
                                     {ValueKind::param, "param"},
                                     {ValueKind::constant, "constant"},
                                     {ValueKind::computed, "computed"}};
constexpr Word<DType> dtypes[] = {{DType::f32, "f32"}, {DType::f64, "f64"}, {DType::i32, "i32"},
                                  {DType::i64, "i64"}, {DType::i8, "i8"},   {DType::u8, "u8"}};
constexpr Word<MaskKind> masks[] = {{MaskKind::frozen, "frozen"}, {MaskKind::soft, "soft"}};

template <class E, size_t n>
const char* to_word(const Word<E> (&words)[n], E value) {
  return std::find_if(words, words + n, [&](const auto& w) { return w.value == value; })->text;
}

// Of the tensor that holds a mask.
inline const char* suffix(const MaskCode& code) {
  return code.runs() ? ":runs" : code.gaps ? ":gaps" : ":mask";
}

}  // namespace pare::graph_file
