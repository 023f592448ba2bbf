// The gate of a feed-forward network as one node, alone or with the layer behind it. Reference: `reference` in src/fused/gated.rs.
#include "product.h"

namespace retune {
namespace {

// Gate and up, apart or side by side in one tensor.
struct Sides {
  at::Tensor gate, up;  // up undefined: both are in `gate`
  bool gate_first;
  int64_t activation;

  int64_t width() const { return gate.size(-1) / (up.defined() ? 1 : 2); }
  int64_t stride() const { return gate.size(-1); }

  // Pointers to the gate's and up's first elements.
  template <class T>
  std::pair<T*, T*> pointers() const {
    if (up.defined()) return {pointer<T>(gate), pointer<T>(up)};
    T *first = pointer<T>(gate), *second = first + width();
    return gate_first ? std::make_pair(first, second) : std::make_pair(second, first);
  }

  // activation(gate) up, [.., F].
  at::Tensor gated() const {
    std::vector<int64_t> shape = gate.sizes().vec();
    shape.back() = width();
    const at::Tensor y = at::empty(shape, gate.options());
    with_type(y, [&](auto type) {
      using T = decltype(type);
      const auto [from, beside] = pointers<T>();
      const Gate g{width(), stride(), from, beside, y.data_ptr(), nullptr, nullptr, (Activation)activation};
      over_rows(y.numel() / g.width, [&](int64_t begin, int64_t end) {
        kernels().of(type).gated(g, nullptr, begin, end);
      });
    });
    return y;
  }

  // The gradients of gate and up for `dy`, that of `gated()`.
  std::pair<at::Tensor, at::Tensor> gradients(const at::Tensor& dy) const {
    const Sides out{at::empty_like(gate), up.defined() ? at::empty_like(up) : at::Tensor(), gate_first, activation};
    with_type(dy, [&](auto type) {
      using T = decltype(type);
      const auto [from, beside] = pointers<T>();
      const auto [dgate, dup] = out.pointers<T>();
      const Gate g{width(), stride(), from, beside, nullptr, dgate, dup, (Activation)activation};
      over_rows(dy.numel() / g.width, [&](int64_t begin, int64_t end) {
        kernels().of(type).gated(g, pointer<T>(dy), begin, end);
      });
    });
    return {out.gate, out.up};
  }
};

Sides sides_of(const at::Tensor& gate, const MaybeTensor& up, bool gate_first, int64_t activation) {
  const Sides sides{gate.contiguous(), contiguous(up), gate_first, activation};
  TORCH_CHECK(!sides.up.defined() || sides.up.sizes() == gate.sizes(), "gate and up of different shapes");
  return sides;
}

void keep(Context* context, const Sides& sides, const at::Tensor& weight) {
  context->save_for_backward({sides.gate, sides.up, weight});
  context->saved_data["gate_first"] = sides.gate_first;
  context->saved_data["activation"] = sides.activation;
}

Sides kept(Context* context, const variable_list& saved) {
  return {saved[0], saved[1], context->saved_data["gate_first"].toBool(), context->saved_data["activation"].toInt()};
}

struct Gated : torch::autograd::Function<Gated> {
  static at::Tensor forward(Context* context, const at::Tensor& gate, const MaybeTensor& up, bool gate_first,
                            int64_t activation, bool graph) {
    const Sides sides = sides_of(gate, up, gate_first, activation);
    if (graph) keep(context, sides, {});
    return sides.gated();
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto [dgate, dup] = kept(context, context->get_saved_variables()).gradients(gradients[0].contiguous());
    return {dgate, dup, {}, {}, {}};
  }
};

// The product of the gate is made again in the backward pass: one pass over memory, for a tensor as wide as gate or up that is not kept.
struct GatedLinear : torch::autograd::Function<GatedLinear> {
  static at::Tensor forward(Context* context, const at::Tensor& gate, const at::Tensor& weight, const MaybeTensor& up,
                            bool gate_first, int64_t activation, bool graph) {
    const Sides sides = sides_of(gate, up, gate_first, activation);
    const int64_t depth = weight.size(1), width = weight.size(0);
    TORCH_CHECK(depth == sides.width(), "a gate of another width than the layer behind it");
    const at::Tensor x = sides.gated().view({-1, depth});
    const at::Tensor y = plain_product(x, weight);
    if (graph) keep(context, sides, weight);
    std::vector<int64_t> shape = gate.sizes().vec();
    shape.back() = width;
    return y.view(shape);
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Sides sides = kept(context, saved);
    const at::Tensor& weight = saved[2];
    const int64_t depth = weight.size(1), width = weight.size(0);
    const at::Tensor dy = gradients[0].contiguous().view({-1, width});
    at::Tensor dweight, dgate, dup;
    if (context->needs_input_grad(1)) dweight = weight_product(dy, sides.gated().view({-1, depth}));
    if (context->needs_input_grad(0) || (sides.up.defined() && context->needs_input_grad(2)))
      std::tie(dgate, dup) = sides.gradients(input_product(dy, weight));
    return {dgate, dweight, dup, {}, {}, {}};
  }
};

}  // namespace
}  // namespace retune

// activation(gate) up; where `up` is null, `gate` holds both side by side. `activation` as in kernels.h, but the identity.
extern "C" int retune_gated(at::Tensor** out, const at::Tensor* gate, const at::Tensor* up, int gate_first,
                            int64_t activation) {
  RETUNE_TRY({
    const bool graph = retune::wants_graph({gate, up});
    *out = new at::Tensor(retune::Gated::apply(*gate, retune::maybe(up), gate_first != 0, activation, graph));
  })
}

// The same times weightᵀ.
extern "C" int retune_gated_linear(at::Tensor** out, const at::Tensor* gate, const at::Tensor* up,
                                   const at::Tensor* weight, int gate_first, int64_t activation) {
  RETUNE_TRY({
    const bool graph = retune::wants_graph({gate, up, weight});
    *out = new at::Tensor(
        retune::GatedLinear::apply(*gate, *weight, retune::maybe(up), gate_first != 0, activation, graph));
  })
}
