// Dropout, residual sum and layer norm as one node. Reference: `reference` in src/fused/norm.rs.
#include "cuda.h"
#include "nodes.h"

namespace retune {
namespace {

// `Drop` of shim/cuda/norm.cuh.
struct DeviceDrop {
  uint32_t low, high, threshold;
  float scale;
};

struct DeviceDrops {
  DeviceDrop before{0, 0, 0, 1.0f}, after{0, 0, 0, 1.0f};
  DeviceDrops(NormKind kind, const DropoutKey& key) {
    if (key.p == 0) return;
    (kind == NormKind::drop_add_norm ? before : after) = {(uint32_t)key.seed, (uint32_t)((uint64_t)key.seed >> 32),
                                                          (uint32_t)(key.p * 4294967296.0), (float)(1.0 / (1.0 - key.p))};
  }
};

constexpr int64_t SHARED_FLOATS = 48 * 1024 / 4;  // of a block, without asking for more

// Warps of a block that each keep `floats` numbers.
int64_t warps_of(int64_t floats) { return std::clamp<int64_t>(SHARED_FLOATS / floats, 1, 4); }

void forward_on_device(NormForward n, int64_t rows, const at::Tensor& like) {
  if (!rows) return;
  DeviceDrops drops(n.kind, n.dropout);
  int width = (int)n.width;
  float epsilon = (float)n.epsilon;
  void* arguments[] = {&n.x, &n.residual, &n.weight, &n.bias, &epsilon, &rows, &width, &drops.before, &drops.after,
                       &n.y, &n.normalised, &n.rstd};
  const int64_t warps = warps_of(width);
  cuda::launch(like.scalar_type() == at::kFloat ? "norm_forward_float" : "norm_forward_bf16", like.device(),
               {parts(rows, warps), 32 * warps, 4 * warps * width}, arguments);
}

// Returns the gradients of weight and bias [2, D], if they are wanted.
at::Tensor backward_on_device(NormBackward n, int64_t rows, const at::Tensor& like, bool sums) {
  int width = (int)n.width;
  const at::TensorOptions options = like.options().dtype(at::kFloat);
  if (!rows) return sums ? at::zeros({2, width}, options) : at::Tensor();
  DeviceDrops drops(n.kind, n.dropout);
  const int64_t warps = warps_of(3 * n.width);
  const int64_t blocks = std::min(parts(rows, warps), 4 * cuda::multiprocessors(like.device()));
  at::Tensor partial;
  if (sums) partial = at::empty({2, blocks, width}, options);
  float* into = pointer<float>(partial);
  void* arguments[] = {&n.dy, &n.normalised, &n.weight, &n.rstd, &rows, &width, &drops.before, &drops.after, &n.dx,
                       &n.dresidual, &into};
  cuda::launch(like.scalar_type() == at::kFloat ? "norm_backward_float" : "norm_backward_bf16", like.device(),
               {blocks, 32 * warps, 4 * 3 * warps * width}, arguments);
  return sums ? partial.sum(1) : at::Tensor();
}

struct Norm : torch::autograd::Function<Norm> {
  static at::Tensor forward(Context* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const MaybeTensor& other, double epsilon, double p, int64_t seed,
                            int64_t kind, bool graph) {
    const at::Tensor x = input.contiguous(), residual = contiguous(other);
    const int64_t width = x.size(-1), rows = x.numel() / std::max<int64_t>(width, 1);
    TORCH_CHECK(!residual.defined() || residual.sizes() == x.sizes(), "residual of another shape");
    at::Tensor y = at::empty_like(x), normalised, rstd;
    if (graph) {
      normalised = at::empty_like(x);
      rstd = at::empty({rows}, x.options().dtype(at::kFloat));
    }
    const NormForward n{(NormKind)kind, width, address(x), address(residual), weight.data_ptr<float>(),
                        bias.data_ptr<float>(), epsilon, {p, seed}, address(y), address(normalised),
                        pointer<float>(rstd)};
    if (x.is_cuda()) {
      forward_on_device(n, rows, x);
    } else {
      with_type(x, [&](auto type) {
        over_rows(rows, [&](int64_t begin, int64_t end) { kernels().of(type).norm_forward(n, begin, end); });
      });
    }
    if (graph) {
      context->save_for_backward({normalised, rstd, weight});
      context->saved_data["p"] = p;
      context->saved_data["seed"] = seed;
      context->saved_data["kind"] = kind;
      context->saved_data["residual"] = residual.defined();
    }
    return y;
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor dy = gradients[0].contiguous(), &normalised = saved[0];
    const int64_t width = dy.size(-1), rows = saved[1].numel(), kind = context->saved_data["kind"].toInt();
    const double p = context->saved_data["p"].toDouble();
    const bool for_x = context->needs_input_grad(0);
    const bool for_residual = context->saved_data["residual"].toBool() && context->needs_input_grad(3);
    const bool sums = context->needs_input_grad(1) || context->needs_input_grad(2);
    // Without dropout before the norm both inputs have the same gradient.
    const bool shared = (NormKind)kind == NormKind::drop_add_norm && p == 0 && for_x && for_residual;
    at::Tensor dx, dresidual, dweight, dbias;
    if (for_x) dx = at::empty_like(dy);
    if (for_residual && !shared) dresidual = at::empty_like(dy);
    NormBackward n{(NormKind)kind, width, address(dy), address(normalised), saved[2].data_ptr<float>(),
                   saved[1].data_ptr<float>(), {p, context->saved_data["seed"].toInt()}, address(dx),
                   address(dresidual), nullptr, nullptr};
    if (dy.is_cuda()) {
      const at::Tensor both = backward_on_device(n, rows, dy, sums);
      if (context->needs_input_grad(1)) dweight = both[0];
      if (context->needs_input_grad(2)) dbias = both[1];
    } else {
      with_type(dy, [&](auto type) {
        const auto& kernel = kernels().of(type);
        if (!sums) {
          over_rows(rows, [&](int64_t begin, int64_t end) { kernel.norm_backward(n, begin, end); });
          return;
        }
        const at::Tensor both = sum_over_rows(rows, 2 * width, at::kFloat, [&](int64_t begin, int64_t end, float* into) {
          NormBackward chunk = n;
          chunk.dweight = into;
          chunk.dbias = into + width;
          kernel.norm_backward(chunk, begin, end);
        });
        // Tensors of their own: the two gradients live on separately.
        if (context->needs_input_grad(1)) dweight = both.narrow(0, 0, width).clone();
        if (context->needs_input_grad(2)) dbias = both.narrow(0, width, width).clone();
      });
    }
    if (shared) dresidual = dx;
    return {dx, dweight, dbias, dresidual, {}, {}, {}, {}, {}};
  }
};

}  // namespace
}  // namespace retune

// Whether norms of [.., width] can be computed on this GPU.
extern "C" int retune_norm_on_device(int64_t device, int64_t width) {
  return width % 4 == 0 && 3 * width <= retune::SHARED_FLOATS &&
         retune::cuda::available(at::Device(at::kCUDA, (at::DeviceIndex)device));
}

// kind 0: norm(residual + dropout(x)); kind 1: dropout(norm(x)), residual null.
extern "C" int retune_norm(at::Tensor** out, const at::Tensor* x, const at::Tensor* residual, const at::Tensor* weight,
                           const at::Tensor* bias, double epsilon, double p, int64_t seed, int64_t kind) {
  RETUNE_TRY({
    const bool graph = retune::wants_graph({x, residual, weight, bias});
    *out = new at::Tensor(
        retune::Norm::apply(*x, *weight, *bias, retune::maybe(residual), epsilon, p, seed, kind, graph));
  })
}
