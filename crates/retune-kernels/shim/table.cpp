// The loops of isa/, compiled once per instruction set by build.rs, which defines RETUNE_ISA. Nothing with inline
// functions of its own may be included here: the linker would keep one copy for all processors. (Intrinsics are fine:
// they never become functions.)
#include "kernels.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace retune {
namespace RETUNE_ISA {

#include "isa/vector.h"

#include "isa/norm.h"

#include "isa/rms_norm.h"

#include "isa/rotary.h"

#include "isa/activation.h"

#include "isa/cross_entropy.h"

#include "isa/attention.h"

#include "isa/tiles.h"

#include "isa/attention_bf16.h"

#include "isa/product.h"

static int64_t attention_scratch(int64_t tokens, int64_t head_size, bool backward) {
  const int64_t floats = scratch_of_floats(tokens, head_size, backward);
#if defined(__AVX512BF16__)
  const int64_t pairs = pairs_scratch(tokens, head_size, backward);
  return pairs > floats ? pairs : floats;
#else
  return floats;
#endif
}

#define RETUNE_NAME_OF(name) #name
#define RETUNE_NAME(name) RETUNE_NAME_OF(name)

template <class T>
constexpr TypedKernels<T> typed() {
  return {norm_forward<T>,        norm_backward<T>,     rms_norm_forward<T>,   rms_norm_backward<T>,
          gated<T>,               rotate<T>,            cross_entropy<T>,      add_bias<T>,
          bias_activation<T>,     activation_backward<T>, attention_forward<T>, attention_backward<T>,
          embedding_forward<T>,   norm_backward<T, float>, products<T>()};
}

extern const Kernels table;
const Kernels table = {RETUNE_NAME(RETUNE_ISA), typed<float>(), typed<uint16_t>(), attention_scratch};

}  // namespace RETUNE_ISA
}  // namespace retune
