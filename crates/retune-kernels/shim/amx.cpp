// Attention in bf16 by matrix registers: the loops of isa/ once more, compiled by build.rs for processors with AMX. As in table.cpp nothing
// with inline functions of its own may be included here.
#include "kernels.h"
#include <immintrin.h>

namespace retune {
namespace amx {
namespace {

#include "isa/vector.h"

#include "isa/attention.h"

#include "isa/tiles.h"

#include "isa/attention_bf16.h"

}  // namespace

extern const TiledAttention attention;
const TiledAttention attention = {attention_forward<uint16_t>, attention_backward<uint16_t>, pairs_scratch};

}  // namespace amx
}  // namespace retune
