// An op of one's own (softsign, y = x / (1 + |x|); Bergstra et al. 2009) and a layer that uses it.
#pragma once

#include "layers/layers.h"

const pare::Op& softsign_op();

// A dense layer with softsign behind it.
struct SoftDense : pare::Module {
  pare::Dense dense;
  SoftDense(int64_t in, int64_t out) : dense(in, out) {}
  pare::Tensor forward(const pare::Tensor& x, pare::Mode mode) override {
    const pare::Tensor y = dense(x, mode);
    return pare::apply(softsign_op(), {&y});
  }
  void visit(pare::Visitor& v) override { v("dense", dense); }
};
