// Root mean square norm as one node. Reference: `reference` in src/fused/rms_norm.rs.
#include "nodes.h"

namespace retune {
namespace {

struct RmsNormNode : torch::autograd::Function<RmsNormNode> {
  static at::Tensor forward(Context* context, const at::Tensor& input, const at::Tensor& weight, double epsilon,
                            double offset, bool bf16, bool graph) {
    const at::Tensor x = input.contiguous();
    const int64_t width = weight.size(0), rows = x.numel() / width;
    const at::Tensor y = at::empty(x.sizes(), x.options().dtype(bf16 ? at::kBFloat16 : at::kFloat));
    const bool wide = x.scalar_type() == at::kFloat;
    TORCH_CHECK(wide || (bf16 && x.scalar_type() == at::kBFloat16), "norms of fp32, or of bf16 in bf16");
    at::Tensor rstd;
    if (graph) rstd = at::empty({rows}, x.options().dtype(at::kFloat));
    const RmsNorm n{width, wide, x.data_ptr(), weight.data_ptr<float>(), (float)epsilon, (float)offset, y.data_ptr(),
                    pointer<float>(rstd)};
    with_type(y, [&](auto type) {
      over_rows(rows, [&](int64_t begin, int64_t end) { kernels().of(type).rms_norm_forward(n, begin, end); });
    });
    if (graph) {
      context->save_for_backward({x, weight, rstd});
      context->saved_data["offset"] = offset;
    }
    return y;
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous(), &x = saved[0], &weight = saved[1], &rstd = saved[2];
    const int64_t width = weight.size(0), rows = rstd.size(0);
    const RmsNorm n{width, x.scalar_type() == at::kFloat, x.data_ptr(), weight.data_ptr<float>(), 0, (float)context->saved_data["offset"].toDouble(),
                    nullptr, rstd.data_ptr<float>()};
    at::Tensor dx, dweight;
    if (context->needs_input_grad(0)) dx = at::empty_like(x);
    with_type(dy, [&](auto type) {
      using T = decltype(type);
      const auto kernel = kernels().of(type).rms_norm_backward;
      if (context->needs_input_grad(1))
        dweight = sum_over_rows(rows, width, weight.options(), [&](int64_t begin, int64_t end, float* sums) {
          kernel(n, pointer<T>(dy), address(dx), sums, begin, end);
        });
      else
        over_rows(rows, [&](int64_t begin, int64_t end) {
          kernel(n, pointer<T>(dy), address(dx), nullptr, begin, end);
        });
    });
    return {dx, dweight, {}, {}, {}, {}};
  }
};

}  // namespace
}  // namespace retune

// x / √(mean(x²) + epsilon) (offset + weight) over the last dimension, in bf16 or fp32; weight [D] in fp32.
extern "C" int retune_rms_norm(at::Tensor** out, const at::Tensor* x, const at::Tensor* weight, double epsilon,
                               double offset, int bf16) {
  RETUNE_TRY({
    const bool graph = retune::wants_graph({x, weight});
    *out = new at::Tensor(retune::RmsNormNode::apply(*x, *weight, epsilon, offset, bf16 != 0, graph));
  })
}
