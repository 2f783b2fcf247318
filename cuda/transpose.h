// Transposing many matrices of one shape, through tiles of shared memory, so that both sides move
// whole lines. One column more than a tile is wide: a column then lies in 32 different banks.
#pragma once

#include "cuda/device.h"
#include "cuda/host.h"

namespace pare::cuda {

constexpr int tile = 32, tile_rows = 8;

template <class T>
PARE_KERNEL void transpose_kernel(const T* in, T* out, int64_t height, int64_t width, bool add) {
  PARE_SHARED(T, cells, tile * (tile + 1));
  in += block_z() * height * width;
  out += block_z() * height * width;
  const int64_t r0 = int64_t(block_y()) * tile, c0 = int64_t(block_x()) * tile;
  for (int i = thread_y(); i < tile; i += tile_rows) {
    const int64_t r = r0 + i, c = c0 + thread_x();
    if (r < height && c < width) cells[i * (tile + 1) + thread_x()] = in[r * width + c];
  }
  barrier();
  for (int i = thread_y(); i < tile; i += tile_rows) {
    const int64_t r = r0 + thread_x(), c = c0 + i;
    if (r >= height || c >= width) continue;
    const T v = cells[thread_x() * (tile + 1) + i];
    T& to = out[c * height + r];
    to = add ? T(to + v) : v;
  }
}

// out[b][c][r] (+)= in[b][r][c].
template <class T>
void transpose(const T* in, T* out, int64_t batch, int64_t height, int64_t width, bool add) {
  constexpr int64_t most = 65535;  // blocks along y and z
  if (ceil_div(height, tile) > most)
    throw Failure(Status::failed, "a matrix of more than 2 million rows");
  const int64_t size = height * width;
  for (int64_t first = 0; first < batch; first += most) {
    const int64_t count = batch - first < most ? batch - first : most;
    launch(transpose_kernel<T>, Dim(ceil_div(width, tile), ceil_div(height, tile), count),
           Dim(tile, tile_rows), 0, stream(), in + first * size, out + first * size, height, width,
           add);
  }
}

}  // namespace pare::cuda
