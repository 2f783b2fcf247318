#include "compress/plan/row_product.inl"

namespace pare::plan {
void row_product_avx2(const RowArgs& r) { row_by_panels(r); }
}  // namespace pare::plan
