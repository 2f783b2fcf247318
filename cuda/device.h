// The dialect that CUDA kernels are written in: the one header a kernel file includes.
//
// Every facility has two bodies: cuda/device_nvcc.h for the GPU, cuda/emulation/device_host.h for
// the host compiler, where one block at a time runs with a fiber per thread and mistakes are
// reported. What both bodies provide, in namespace pare::cuda:
//
//   PARE_KERNEL void name(...)      a kernel; always a function returning void, arguments by value
//   PARE_DEVICE                     marks functions called from kernels alone
//   PARE_HD                         marks functions of host and kernels (core/math.h)
//   PARE_UNROLL                     before a loop that must be unrolled: arrays in registers
//   launch(kernel, grid, block, shared_bytes, stream, args...)   queues a kernel; 0 blocks: nothing
//   Dim{x, y, z}                    extents of a grid or a block
//   Items                           a number of items to loop over; launch_over (cuda/host.h)
//   thread_x() thread_y() thread_z(), block_x() ..., block_width() block_height() block_depth(),
//   grid_width() grid_height() grid_depth()      the place of the running thread
//   thread_number()                 place in the block, x fastest; lane() and warp() are its parts
//   PARE_SHARED(T, name, count)     a static array in shared memory, of type Shared<T>
//   dynamic_shared<T>(offset)       the launch's shared bytes from `offset` on, as Shared<T>
//   Shared<T>                       s[i] reads or writes; s.load<N>(i), s.store<N>(i, v) N elements
//                                   at once (i a multiple of N); s + n is the array from n on
//   barrier()                       all threads of the block meet; orders shared memory
//   warp_barrier(mask)              the lanes of mask meet; orders shared memory among them
//   shuffle_xor(v, bits, mask)      values of other lanes; 4- or 8-byte types
//   atomic_min(p, v)                integers in global memory only: float sums would depend on the
//                                   order, as would whatever else an atomic gives back
//   fma(a, b, c)                    one rounding; nothing else is ever contracted
//   dp4a_u8s8(a, b, c)              c + sum of 4 products of bytes
//   load<N>(p), store<N>(p, v)      N elements of global memory at once, aligned to N elements
//   cp_async<Bytes>(to, p, valid), cp_async_commit(), cp_async_wait<Left>()   copies of 4, 8 or 16
//                                   bytes into shared memory beside computing; wait, then barrier
//
// and over those, in one body: Vector<T, N>, warp_sum, warp_max, block_sum (below); BFloat16 and
// to_tf32 (cuda/small_floats.h); mma (cuda/mma.h). Host side of a kernel file: rows, types, grids
// and scratch memory (cuda/host.h).
//
// A facility comes with the first kernel that uses it: a template never instantiated was never
// compiled.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/math.h"

namespace pare::cuda {

constexpr int warp_size = 32;
constexpr uint32_t full_mask = 0xffffffffu;

// N elements that move as one word of memory.
template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T v[N];
  PARE_HD T& operator[](int i) { return v[i]; }
  PARE_HD const T& operator[](int i) const { return v[i]; }
};

}  // namespace pare::cuda

#if defined(__CUDACC__)
#include "cuda/device_nvcc.h"
#else
#include "cuda/emulation/device_host.h"
#endif

#include "cuda/small_floats.h"

namespace pare::cuda {

PARE_DEVICE inline int lane() { return thread_number() % warp_size; }
PARE_DEVICE inline int warp() { return thread_number() / warp_size; }
// Place in a grid of one row, and the number of its threads: for (i = global_x(); i < n; i +=
// grid_threads()).
PARE_DEVICE inline int64_t global_x() { return int64_t(block_x()) * block_width() + thread_x(); }
PARE_DEVICE inline int64_t grid_threads() { return int64_t(grid_width()) * block_width(); }

// The sum (largest) of all 32 lanes' v, in every lane, added in one fixed order.
template <class T>
PARE_DEVICE inline T warp_sum(T v) {
  for (int bits = warp_size / 2; bits > 0; bits /= 2) v = v + shuffle_xor(v, bits);
  return v;
}
template <class T>
PARE_DEVICE inline T warp_max(T v) {
  for (int bits = warp_size / 2; bits > 0; bits /= 2) {
    const T other = shuffle_xor(v, bits);
    v = other > v || other != other ? other : v;
  }
  return v;
}
// The sum over a block of whole warps, in every thread; `partial` holds one T a warp. Starts and
// ends with a barrier, so that `partial` may be used again.
template <class T>
PARE_DEVICE inline T block_sum(T v, Shared<T> partial) {
  v = warp_sum(v);
  barrier();
  if (lane() == 0) partial[warp()] = v;
  barrier();
  const int warps = block_width() * block_height() * block_depth() / warp_size;
  T total = partial[0];
  for (int i = 1; i < warps; ++i) total = total + T(partial[i]);
  barrier();
  return total;
}

// Likewise the largest; NaN where any is NaN.
template <class T>
PARE_DEVICE inline T block_max(T v, Shared<T> partial) {
  v = warp_max(v);
  barrier();
  if (lane() == 0) partial[warp()] = v;
  barrier();
  const int warps = block_width() * block_height() * block_depth() / warp_size;
  T top = partial[0];
  for (int i = 1; i < warps; ++i) {
    const T other = partial[i];
    top = other > top || other != other ? other : top;
  }
  barrier();
  return top;
}

}  // namespace pare::cuda
