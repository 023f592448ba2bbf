// Linear layer with bias and activation as one node. Reference: `reference` in src/fused/linear.rs.
#include "cuda.h"
#include "product.h"

namespace retune {
namespace {

constexpr int64_t IDENTITY = -1;

// On a GPU: libtorch's own products and activations, of which one node costs the host less than one for each.
at::Tensor activate(const at::Tensor& z, int64_t activation) {
  if (activation == IDENTITY) return z;
  switch ((Activation)activation) {
    case Activation::gelu: return at::gelu(z, "none");
    case Activation::gelu_tanh: return at::gelu(z, "tanh");
    case Activation::relu: return at::relu(z);
    default: return at::silu(z);
  }
}

at::Tensor activate_backward(const at::Tensor& dy, const at::Tensor& z, int64_t activation) {
  switch ((Activation)activation) {
    case Activation::gelu: return at::gelu_backward(dy, z, "none");
    case Activation::gelu_tanh: return at::gelu_backward(dy, z, "tanh");
    case Activation::relu: return at::threshold_backward(dy, z, 0);
    default: return at::silu_backward(dy, z);
  }
}

constexpr int64_t ROWS = 4;      // that a warp of activation_backward has at least
constexpr int64_t CHUNKS = 128;  // of rows at most, whose sums one block adds up

// The gradients before the activation and of the bias, for dy [M, N] and the pre-activation z where there is an activation.
// Reference: libtorch's operations, which also serve where the kernel of shim/cuda/linear.cuh does not.
std::pair<at::Tensor, at::Tensor> backward_on_device(const at::Tensor& dy, const at::Tensor& z, int64_t activation,
                                                     bool for_bias) {
  if (!z.defined() && !for_bias) return {dy, {}};
  int64_t rows = dy.size(0);
  int width = (int)dy.size(1);
  const int64_t tiles = parts(width, RETUNE_COLUMNS);
  if (!rows || width % 4 || tiles > RETUNE_TILES || !cuda::available(dy.device())) {
    const at::Tensor d = z.defined() ? activate_backward(dy, z, activation) : dy;
    return {d, for_bias ? d.sum(0) : at::Tensor()};
  }
  const int64_t wanted = 8 * cuda::multiprocessors(dy.device()) / tiles;
  const int64_t chunks = std::clamp<int64_t>(wanted, 1, std::min(parts(rows, RETUNE_WARPS * ROWS), CHUNKS));
  at::Tensor d = dy, bias, partial;
  if (z.defined()) d = at::empty_like(dy);
  if (for_bias) {
    bias = at::empty({width}, dy.options());
    partial = at::empty({chunks, tiles, RETUNE_COLUMNS}, dy.options().dtype(at::kFloat));
  }
  int function = (int)activation;
  void *in = dy.data_ptr(), *before = address(z), *out = address(d), *sums = address(partial), *total = address(bias);
  void* arguments[] = {&in, &before, &function, &rows, &width, &out, &sums, &total};
  cuda::launch(dy.scalar_type() == at::kFloat ? "activation_backward_float" : "activation_backward_bf16", dy.device(),
               {tiles, 32 * RETUNE_WARPS, 0, chunks}, arguments);
  return {d, bias};
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(Context* context, const at::Tensor& input, const at::Tensor& weight,
                            const MaybeTensor& bias, int64_t activation, bool graph) {
    const int64_t depth = weight.size(1), width = weight.size(0);
    const at::Tensor x = input.reshape({-1, depth}).contiguous(), offset = contiguous(bias);
    const bool own = takes_product(x, weight);
    at::Tensor y, derivative;  // on a GPU the pre-activation in place of the derivative
    if (x.is_cuda()) {
      const at::Tensor z = offset.defined() ? at::addmm(offset, x, weight.t()) : at::mm(x, weight.t());
      y = activate(z, activation);
      if (graph && activation != IDENTITY) derivative = z;
    } else {
      if (graph && activation != IDENTITY) derivative = at::empty({x.size(0), width}, x.options());
      if (own) y = forward_product(x, weight, offset, derivative, (Activation)activation);
      else y = at::mm(x, weight.t());
      if (!own) with_type(y, [&](auto type) {
        using T = decltype(type);
        const auto& kernel = kernels().of(type);
        over_rows(y.size(0), [&](int64_t begin, int64_t end) {
          if (activation != IDENTITY)
            kernel.bias_activation(pointer<T>(y), pointer<T>(offset), pointer<T>(derivative), width, begin, end,
                                   (Activation)activation);
          else if (offset.defined())
            kernel.add_bias(pointer<T>(y), pointer<T>(offset), width, begin, end);
        });
      });
    }
    if (graph) {
      context->save_for_backward({weight.requires_grad() ? x : at::Tensor(),
                                  input.requires_grad() ? weight : at::Tensor(), derivative});
      context->saved_data["shape"] = input.sizes();
      context->saved_data["bias"] = offset.defined();
      context->saved_data["activation"] = activation;
    }
    std::vector<int64_t> shape = input.sizes().vec();
    shape.back() = width;
    return y.view(shape);
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &derivative = saved[2];
    const int64_t width = gradients[0].size(-1);
    const at::Tensor dy = gradients[0].contiguous().view({-1, width});
    const int64_t rows = dy.size(0);
    const bool for_bias = context->saved_data["bias"].toBool() && context->needs_input_grad(2);
    at::Tensor d = dy, dx, dweight, dbias;
    if (dy.is_cuda()) {
      std::tie(d, dbias) =
          backward_on_device(dy, derivative, context->saved_data["activation"].toInt(), for_bias);
    } else {
      if (derivative.defined()) d = at::empty_like(dy);
      with_type(dy, [&](auto type) {
        using T = decltype(type);
        const auto kernel = kernels().of(type).activation_backward;
        if (for_bias)
          dbias = sum_over_rows(rows, width, dy.options(), [&](int64_t begin, int64_t end, float* sums) {
            kernel(pointer<T>(dy), pointer<T>(derivative), pointer<T>(d), sums, width, begin, end);
          });
        else if (derivative.defined())
          over_rows(rows, [&](int64_t begin, int64_t end) {
            kernel(pointer<T>(dy), pointer<T>(derivative), pointer<T>(d), nullptr, width, begin, end);
          });
      });
    }
    if (context->needs_input_grad(0))
      dx = input_product(d, weight).view(context->saved_data["shape"].toIntVector());
    if (context->needs_input_grad(1)) dweight = weight_product(d, x);
    return {dx, dweight, dbias, {}, {}};
  }
};

}  // namespace
}  // namespace retune

// activation(x weightᵀ + bias); activation -1 is the identity, others as `Activation` in kernels.h; bias may be null.
extern "C" int retune_linear(at::Tensor** out, const at::Tensor* x, const at::Tensor* weight, const at::Tensor* bias,
                             int64_t activation) {
  RETUNE_TRY({
    const bool graph = retune::wants_graph({x, weight, bias});
    *out = new at::Tensor(retune::Linear::apply(*x, *weight, retune::maybe(bias), activation, graph));
  })
}
