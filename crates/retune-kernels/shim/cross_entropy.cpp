// Cross-entropy of scores over a vocabulary, in their own memory. Reference: `reference` in src/fused/cross_entropy.rs.
#include "nodes.h"

namespace retune {
namespace {

void cross_entropy(const at::Tensor& scores, const at::Tensor& bias, const at::Tensor& targets, double smoothing,
                   bool gradient, const at::Tensor& smoothed, const at::Tensor& plain, const at::Tensor& correct) {
  TORCH_CHECK(scores.dim() == 2 && scores.is_contiguous() && scores.size(1) > 0, "scores are [N, V], contiguous");
  const int64_t rows = scores.size(0), width = scores.size(1);
  TORCH_CHECK(targets.scalar_type() == at::kLong && targets.numel() == rows && targets.is_contiguous(),
              "targets are int64 [N]");
  TORCH_CHECK(!bias.defined() || (bias.scalar_type() == at::kFloat && bias.numel() == width && bias.is_contiguous()),
              "the bias is fp32 [V]");
  const int64_t* wanted = targets.data_ptr<int64_t>();
  for (int64_t r = 0; r < rows; r++)
    TORCH_CHECK(wanted[r] < width, "target ", wanted[r], " of a vocabulary of ", width);
  const CrossEntropy c{width, scores.data_ptr(), pointer<float>(bias), wanted, (float)smoothing, gradient,
                       smoothed.data_ptr<float>(), plain.data_ptr<float>(), correct.data_ptr<bool>()};
  with_type(scores, [&](auto type) {
    at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) { kernels().of(type).cross_entropy(c, begin, end); });
  });
}

// A sum whose gradients for two inputs are known already. What stands for an input that learns nothing is undefined.
struct Known : torch::autograd::Function<Known> {
  static at::Tensor forward(Context* context, const at::Tensor& sum, const at::Tensor& first, const at::Tensor& second,
                            const MaybeTensor& of_first, const MaybeTensor& of_second) {
    context->save_for_backward({of_first.value_or(at::Tensor()), of_second.value_or(at::Tensor())});
    context->saved_data["first"] = (int64_t)first.scalar_type();
    context->saved_data["second"] = (int64_t)second.scalar_type();
    return sum.clone();
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& dsum = gradients[0];
    // Straight into the input's dtype: a copy in another would be as large as the whole table.
    const auto scaled = [&](size_t input, const at::Tensor& known, const char* type) {
      if (!context->needs_input_grad(input) || !known.defined()) return at::Tensor();
      at::Tensor out = at::empty_like(known, known.options().dtype((at::ScalarType)context->saved_data[type].toInt()));
      at::mul_out(out, known, dsum);
      return out;
    };
    return {dsum, scaled(1, saved[0], "first"), scaled(2, saved[1], "second"), {}, {}};
  }
};

}  // namespace
}  // namespace retune

// `sum` with the gradients `of_first` and `of_second`, either of which may be null, for `first` and `second`.
extern "C" int retune_known_gradients(at::Tensor** out, const at::Tensor* sum, const at::Tensor* first,
                                      const at::Tensor* second, const at::Tensor* of_first, const at::Tensor* of_second) {
  RETUNE_TRY(*out = new at::Tensor(
                 retune::Known::apply(*sum, *first, *second, retune::maybe(of_first), retune::maybe(of_second))))
}

// Targets below 0 count for nothing; with `gradient` the gradient of the summed smoothed losses replaces the scores. `bias` may be null.
extern "C" int retune_cross_entropy(at::Tensor* scores, const at::Tensor* bias, const at::Tensor* targets,
                                    double smoothing, int gradient, at::Tensor* smoothed, at::Tensor* plain,
                                    at::Tensor* correct) {
  RETUNE_TRY(retune::cross_entropy(*scores, bias ? *bias : at::Tensor(), *targets, smoothing, gradient != 0, *smoothed,
                                   *plain, *correct))
}
