#include "core/cpu/kernels/winograd.h"

#include <cmath>

namespace pare::cpu {

void winograd_filter(const float* w, double* u) {
  // Row of a point p: (1, p, p^2) / product of p minus the other points.
  const double a = std::sqrt(0.5), b = std::sqrt(2.0);
  const double g[6][3] = {{1, 0, 0},
                          {-2. / 3, -2. / 3 * a, -1. / 3},
                          {-2. / 3, 2. / 3 * a, -1. / 3},
                          {1. / 6, 1. / 6 * b, 1. / 3},
                          {1. / 6, -1. / 6 * b, 1. / 3},
                          {0, 0, 1}};
  double rows[6][3] = {};
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k) rows[i][j] += g[i][k] * double(w[k * 3 + j]);
  for (int i = 0; i < 6; ++i)
    for (int j = 0; j < 6; ++j) {
      u[i * 6 + j] = 0;
      for (int k = 0; k < 3; ++k) u[i * 6 + j] += rows[i][k] * g[j][k];
    }
}

}  // namespace pare::cpu
