// Rotary position embeddings as one node. Reference: `reference` in src/fused/rotary.rs.
#include "nodes.h"

namespace retune {
namespace {

// x [B, T, H, K] turned by angles whose cos and sin are [1 or B, T, 1, R].
at::Tensor turned(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, float direction) {
  const at::Tensor in = x.stride(3) == 1 ? x : x.contiguous();
  const at::Tensor out = at::empty(x.sizes(), x.options());
  const Rotation rotation{in.size(1),   in.size(2),   in.size(3), cos.size(3),          in.stride(0),         in.stride(1),
                          in.stride(2), cos.size(0) * cos.size(1), cos.data_ptr<float>(), sin.data_ptr<float>(), direction,
                          in.data_ptr(), out.data_ptr()};
  with_type(x, [&](auto type) {
    over_rows(in.size(0) * in.size(1), [&](int64_t begin, int64_t end) {
      kernels().of(type).rotate(rotation, begin, end);
    });
  });
  return out;
}

struct Rotary : torch::autograd::Function<Rotary> {
  static at::Tensor forward(Context* context, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turned(x, cos, sin, 1);
  }

  // A rotation is undone by its transpose.
  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {turned(gradients[0], saved[0], saved[1], -1), {}, {}};
  }
};

}  // namespace
}  // namespace retune

extern "C" int retune_rotary(at::Tensor** out, const at::Tensor* x, const at::Tensor* cos, const at::Tensor* sin) {
  RETUNE_TRY(*out = new at::Tensor(retune::Rotary::apply(*x, *cos, *sin)))
}
