// Transposing many matrices of one shape, through tiles of shared memory, so that both sides move
// whole lines. One column more than a tile is wide: a column then lies in 32 different banks.
#pragma once

#include "cuda/device.h"
#include "cuda/host.h"

namespace pare::cuda {

struct TransposeTile {
  static constexpr int side = 32, threads_y = 8;
};

// Tiles of a matrix, those of a row side by side, lie along x; matrices along y.
template <class T>
PARE_KERNEL void transpose_kernel(const T* in, T* out, int64_t height, int64_t width, int across,
                                  bool add) {
  constexpr int side = TransposeTile::side, threads_y = TransposeTile::threads_y;
  PARE_SHARED(T, cells, side * (side + 1));
  in += block_y() * height * width;
  out += block_y() * height * width;
  const int tile_row = block_x() / across;
  const int64_t r0 = int64_t(tile_row) * side, c0 = int64_t(block_x() - tile_row * across) * side;
  for (int i = thread_y(); i < side; i += threads_y) {
    const int64_t r = r0 + i, c = c0 + thread_x();
    if (r < height && c < width) cells[i * (side + 1) + thread_x()] = in[r * width + c];
  }
  barrier();
  for (int i = thread_y(); i < side; i += threads_y) {
    const int64_t r = r0 + thread_x(), c = c0 + i;
    if (r >= height || c >= width) continue;
    const T v = cells[thread_x() * (side + 1) + i];
    T& to = out[c * height + r];
    to = add ? T(to + v) : v;
  }
}

// out[b][c][r] (+)= in[b][r][c].
template <class T>
void transpose(const T* in, T* out, int64_t batch, int64_t height, int64_t width, bool add) {
  constexpr int side = TransposeTile::side;
  constexpr int64_t most = 65535, most_tiles = 0x7fffffff;  // blocks along y and x
  const int64_t across = ceil_div(width, side), tiles = ceil_div(height, side) * across;
  if (tiles > most_tiles)
    throw Failure(Status::failed, "a matrix of more than 2^31 tiles of 32 x 32");
  const int64_t size = height * width;
  for (int64_t first = 0; first < batch; first += most) {
    const int64_t count = batch - first < most ? batch - first : most;
    launch(transpose_kernel<T>, Dim(tiles, count), Dim(side, TransposeTile::threads_y), 0, stream(),
           in + first * size, out + first * size, height, width, int(across), add);
  }
}

}  // namespace pare::cuda
