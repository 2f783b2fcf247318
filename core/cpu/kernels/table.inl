// All kernels, for the instruction set of the file that includes this. Everything lies in unnamed
// namespaces: of a shared inline function the linker could pick a wide copy for an old CPU.
#include "core/cpu/kernels/int8_dot.inl"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/kernels/loops.inl"
#include "core/cpu/kernels/matrix_tile.inl"
#include "core/cpu/kernels/row_product.inl"
#include "core/cpu/kernels/sparse.inl"
#include "core/cpu/kernels/winograd.inl"

namespace pare::cpu {
namespace {

constexpr Kernels table{
    matrix_table<float>, matrix_table<double>, loop_table<float>, loop_table<double>,
    sparse_table,        winograd::table,      rows::product,     int8_dot4};

}  // namespace
}  // namespace pare::cpu
