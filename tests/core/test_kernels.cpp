// The list of kernels: which row runs, and that each that runs here computes.
#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "core/cpu/kernels/kernels.h"
#include "core/error.h"
#include "tests/support/isas.h"

using namespace pare;
using namespace pare::testing;

TEST_CASE("the first row that fits is used, and each other says why it is not") {
  const IsaScope scope(detected_isa());
  bool before_it = true;
  for (const IsaState& s : isa_states()) {
    CAPTURE(to_string(s.isa));
    if (s.in_use) {
      CHECK(s.isa == detected_isa());
      CHECK(s.runs);
      CHECK(s.why_not.empty());
      before_it = false;
    } else {
      CHECK(!s.why_not.empty());
      if (before_it) CHECK(!s.runs);
    }
    if (!s.runs) MESSAGE("not run: kernels of ", to_string(s.isa), ": ", s.why_not);
  }
  CHECK(!before_it);
  CHECK(isa_states().front().isa == Isa::amx_int8);
  CHECK(isa_states().back().isa == Isa::scalar);
  CHECK(isa_states().back().needs.empty());
}

TEST_CASE("a row that is set runs, one that cannot run is refused by name") {
  const IsaScope scope;
  for (const IsaState& s : isa_states()) {
    CAPTURE(to_string(s.isa));
    if (s.runs) {
      set_isa(s.isa);
      CHECK(current_isa() == s.isa);
      continue;
    }
    const Isa before = current_isa();
    std::string says;
    try {
      set_isa(s.isa);
    } catch (const Error& e) {
      says = e.what();
      CHECK(e.code() == ErrorCode::usage);
    }
    CHECK(says.find("'" + to_string(s.isa) + "' does not run here: " + s.why_not) !=
          std::string::npos);
    CHECK(says.find("these do: ") != std::string::npos);
    CHECK(current_isa() == before);
  }
}

TEST_CASE("rows of one float instruction set share its float kernels") {
  const IsaScope scope;
  for (const Isa isa : isas_here()) {
    set_isa(isa);
    const auto tile = cpu::kernels().matrix_f32.tile;
    const auto product = cpu::kernels().sparse.product;
    set_isa(float_isa(isa));
    CHECK((cpu::kernels().matrix_f32.tile == tile));
    CHECK((cpu::kernels().sparse.product == product));
  }
}

TEST_CASE("dot products of bytes are exact on every instruction set") {
  const IsaScope scope;
  constexpr int64_t most = 261;
  std::array<std::vector<int8_t>, 4> weights;
  std::vector<uint8_t> x(most);
  for (const bool extreme : {false, true}) {
    for (int64_t i = 0; i < most; ++i) x[size_t(i)] = extreme ? 255 : uint8_t(i * 37 + 11);
    for (int r = 0; r < 4; ++r) {
      weights[size_t(r)].resize(most);
      for (int64_t i = 0; i < most; ++i)
        weights[size_t(r)][size_t(i)] =
            extreme ? int8_t(r % 2 ? 127 : -128) : int8_t(i * (29 + 2 * r) + r);
    }
    for (const Isa isa : isas_here()) {
      CAPTURE(to_string(isa));
      set_isa(isa);
      for (const int64_t k : {0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 261}) {
        CAPTURE(k);
        const int8_t* w[4];
        int32_t want[4] = {}, acc[4];
        for (size_t r = 0; r < 4; ++r) {
          w[r] = weights[r].data();
          for (int64_t i = 0; i < k; ++i) want[r] += int32_t(x[size_t(i)]) * int32_t(w[r][i]);
        }
        cpu::kernels().int8_dot4(x.data(), w, k, acc);
        for (size_t r = 0; r < 4; ++r) CHECK(acc[r] == want[r]);
      }
    }
  }
}
