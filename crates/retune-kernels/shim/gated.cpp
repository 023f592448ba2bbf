// The gate of a feed-forward network as one node. Reference: `reference` in src/fused/gated.rs.
#include "nodes.h"

namespace retune {
namespace {

// Gate and up, apart or side by side in one tensor.
struct Sides {
  at::Tensor gate, up;  // up undefined: both are in `gate`
  bool gate_first;

  int64_t width() const { return gate.size(-1) / (up.defined() ? 1 : 2); }
  int64_t stride() const { return gate.size(-1); }

  // Pointers to the gate's and up's first elements.
  template <class T>
  std::pair<T*, T*> pointers() const {
    if (up.defined()) return {pointer<T>(gate), pointer<T>(up)};
    T *first = pointer<T>(gate), *second = first + width();
    return gate_first ? std::make_pair(first, second) : std::make_pair(second, first);
  }
};

struct Gated : torch::autograd::Function<Gated> {
  static at::Tensor forward(Context* context, const at::Tensor& gate, const MaybeTensor& up, bool gate_first,
                            int64_t activation, bool graph) {
    const Sides sides{gate.contiguous(), contiguous(up), gate_first};
    TORCH_CHECK(!sides.up.defined() || sides.up.sizes() == gate.sizes(), "gate and up of different shapes");
    std::vector<int64_t> shape = gate.sizes().vec();
    shape.back() = sides.width();
    const at::Tensor y = at::empty(shape, gate.options());
    with_type(y, [&](auto type) {
      using T = decltype(type);
      const auto [from, beside] = sides.pointers<T>();
      const Gate g{sides.width(), sides.stride(), from, beside, y.data_ptr(), nullptr, nullptr, (Activation)activation};
      over_rows(y.numel() / g.width, [&](int64_t begin, int64_t end) {
        kernels().of(type).gated(g, nullptr, begin, end);
      });
    });
    if (graph) {
      context->save_for_backward({sides.gate, sides.up});
      context->saved_data["gate_first"] = gate_first;
      context->saved_data["activation"] = activation;
    }
    return y;
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const bool gate_first = context->saved_data["gate_first"].toBool();
    const Sides sides{saved[0], saved[1], gate_first};
    const at::Tensor dy = gradients[0].contiguous();
    const Sides out{at::empty_like(sides.gate), sides.up.defined() ? at::empty_like(sides.up) : at::Tensor(),
                    gate_first};
    with_type(dy, [&](auto type) {
      using T = decltype(type);
      const auto [gate, up] = sides.pointers<T>();
      const auto [dgate, dup] = out.pointers<T>();
      const Gate g{sides.width(), sides.stride(), gate, up, nullptr, dgate, dup,
                   (Activation)context->saved_data["activation"].toInt()};
      over_rows(dy.numel() / g.width, [&](int64_t begin, int64_t end) {
        kernels().of(type).gated(g, pointer<T>(dy), begin, end);
      });
    });
    return {out.gate, out.up, {}, {}, {}};
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
