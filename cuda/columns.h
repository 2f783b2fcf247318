// Reductions over the rows of an array whose columns (channels) are innermost: sums for biases and
// norms, moments, and the parts of split products. Always in one order, which the shape decides:
// thread y of a block takes rows y, y + height, ...; the block joins its threads in order; where
// the rows are cut into parts, a second launch joins the parts in the same way.
//
// A Reader names its State and does read.add(state, row, column), and read.close(state) behind a
// thread's last row where it has to; State::join(other) takes what another thread found.
// done(part, column, state) is called once a part and column.
#pragma once

#include "cuda/host.h"

namespace pare::cuda {

template <class T, int n>
struct Sums {
  T v[n] = {};
  PARE_DEVICE void join(const Sums& other) {
    for (int i = 0; i < n; ++i) v[i] = v[i] + other.v[i];
  }
};

template <class Reader, class Done>
PARE_KERNEL void columns_kernel(Reader read, Done done, int64_t rows, int64_t columns,
                                int64_t part) {
  using State = typename Reader::State;
  PARE_SHARED(State, states, threads_per_block);
  const int64_t c = int64_t(block_x()) * block_width() + thread_x();
  const int64_t begin = block_y() * part, end = begin + part < rows ? begin + part : rows;
  State state{};
  if (c < columns) {
    for (int64_t r = begin + thread_y(); r < end; r += block_height()) read.add(state, r, c);
    if constexpr (requires { read.close(state); }) read.close(state);
  }
  states[thread_number()] = state;
  barrier();
  if (thread_y() != 0 || c >= columns) return;
  for (int y = 1; y < block_height(); ++y)
    state.join(State(states[y * block_width() + thread_x()]));
  done(block_y(), c, state);
}

// Between the launches: states of parts in scratch.
template <class S>
struct StoreStates {
  S* p;
  int64_t columns;
  PARE_DEVICE void operator()(int64_t part, int64_t c, const S& state) const {
    p[part * columns + c] = state;
  }
};
template <class S>
struct ReadStates {
  using State = S;
  const S* p;
  int64_t columns;
  PARE_DEVICE void add(S& state, int64_t part, int64_t c) const {
    state.join(p[part * columns + c]);
  }
};

// Threads of a block along the columns: no more than there are, so that few columns waste none.
inline int block_columns(int64_t columns) { return columns > 16 ? 32 : columns > 8 ? 16 : 8; }

template <class Reader, class Done>
void over_columns(const Reader& read, const Done& done, int64_t rows, int64_t columns) {
  using State = typename Reader::State;
  if (columns == 0) return;
  constexpr int64_t enough_blocks = 264, least_rows = 16;  // two blocks for each of 132 processors
  const int width = block_columns(columns), height = threads_per_block / width;
  const int64_t blocks = ceil_div(columns, width);
  const auto run = [&](const auto& reader, const auto& last, int64_t n, int64_t parts) {
    const int64_t part = ceil_div(ceil_div(n, parts), height) * height;
    launch(columns_kernel<std::decay_t<decltype(reader)>, std::decay_t<decltype(last)>>,
           Dim(blocks, parts), Dim(width, height), 0, stream(), reader, last, n, columns, part);
  };
  const int64_t most = rows / (height * least_rows), wanted = ceil_div(enough_blocks, blocks);
  const int64_t parts = most < wanted ? most : wanted;
  if (parts < 2) return run(read, done, rows, 1);
  State* states = scratch<State>(parts * columns);
  run(read, StoreStates<State>{states, columns}, rows, parts);
  run(ReadStates<State>{states, columns}, done, parts, 1);
}

}  // namespace pare::cuda
