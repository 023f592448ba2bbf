// Multi-head softmax attention on the projections' own layout as one node. Reference: `reference` in
// src/fused/attention.rs.
#include "nodes.h"
#include <cstdlib>
#include <memory>

namespace retune {

float* thread_scratch(int64_t floats) {
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  thread_local std::unique_ptr<float, Free> memory;
  thread_local int64_t size = 0;
  if (floats > size) {
    memory.reset((float*)std::aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64));
    TORCH_CHECK(memory, "out of memory for ", floats, " floats of scratch");
    size = floats;
  }
  return memory.get();
}

namespace {

struct AttentionNode : torch::autograd::Function<AttentionNode> {
  static Attention describe(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const at::Tensor& allowed, const at::Tensor& bounds, const at::Tensor& statistics,
                            int64_t heads, double scale, double p, int64_t seed) {
    const int64_t size = query.size(2) / heads;
    return {query.size(1), key.size(1), heads, key.size(2) / size, size, query.stride(1), key.stride(1),
            address(query), address(key), address(value), pointer<uint8_t>(allowed), pointer<int32_t>(bounds),
            bounds.defined() ? bounds.size(0) : 1, (float)scale, {p, seed}, pointer<float>(statistics)};
  }

  static at::Tensor forward(Context* context, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const MaybeTensor& mask, const MaybeTensor& spans, int64_t heads, double scale, double p,
                            int64_t seed, bool graph) {
    TORCH_CHECK(q.dim() == 3 && q.size(2) % heads == 0, "queries are [B, Q, heads * K]");
    TORCH_CHECK(k.dim() == 3 && k.size(0) == q.size(0) && k.size(2) % (q.size(2) / heads) == 0,
                "keys are [B, T, groups * K]");
    TORCH_CHECK(k.size(2) > 0 && q.size(2) % k.size(2) == 0, "groups of heads of keys divide the heads");
    TORCH_CHECK(k.sizes() == v.sizes(), "keys and values have one shape");
    const int64_t batch = q.size(0), queries = q.size(1), tokens = k.size(1), width = q.size(2);
    const auto sliced = [&](const at::Tensor& t) {
      return t.stride(2) == 1 && t.stride(1) >= t.size(2) && t.stride(0) == t.size(1) * t.stride(1);
    };
    const bool both = sliced(k) && k.strides() == v.strides();
    const at::Tensor query = sliced(q) ? q : q.contiguous(), key = both ? k : k.contiguous(),
                     value = both ? v : v.contiguous();
    const at::Tensor allowed = contiguous(mask);
    TORCH_CHECK(!allowed.defined() || allowed.scalar_type() == at::kBool, "the mask is bool");
    TORCH_CHECK(!allowed.defined() || allowed.numel() == batch * tokens, "the mask is [B, T]");
    const at::Tensor bounds = contiguous(spans);
    TORCH_CHECK(!bounds.defined() || (bounds.scalar_type() == at::kInt && bounds.dim() == 3 && bounds.size(1) == queries &&
                                      bounds.size(2) == 2 && bounds.size(0) > 0 && batch % bounds.size(0) == 0),
                "bounds are int32 [R, Q, 2]");
    at::Tensor out = at::empty({batch, queries, width}, q.options()), statistics;
    if (graph) statistics = at::empty({batch, heads, queries, 2}, at::kFloat);
    const Attention a = describe(query, key, value, allowed, bounds, statistics, heads, scale, p, seed);
    with_type(out, [&](auto type) {
      using T = decltype(type);
      at::parallel_for(0, batch * a.groups, 1, [&](int64_t begin, int64_t end) {
        float* scratch = thread_scratch(kernels().attention_scratch(tokens, a.head_size, false));
        for (int64_t task = begin; task < end; task++)
          kernels().of(type).attention_forward(a, pointer<T>(out), task, scratch);
      });
    });
    if (graph) {
      context->save_for_backward({query, key, value, allowed, bounds, statistics});
      context->saved_data["heads"] = heads;
      context->saved_data["scale"] = scale;
      context->saved_data["p"] = p;
      context->saved_data["seed"] = seed;
    }
    return out;
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor dout = gradients[0].contiguous();
    const Attention a =
        describe(saved[0], saved[1], saved[2], saved[3], saved[4], saved[5], context->saved_data["heads"].toInt(),
                 context->saved_data["scale"].toDouble(), context->saved_data["p"].toDouble(),
                 context->saved_data["seed"].toInt());
    at::Tensor dquery = at::empty_like(dout), dkey = at::empty(saved[1].sizes(), dout.options()),
               dvalue = at::empty_like(dkey);
    with_type(dout, [&](auto type) {
      using T = decltype(type);
      at::parallel_for(0, dout.size(0) * a.groups, 1, [&](int64_t begin, int64_t end) {
        float* scratch = thread_scratch(kernels().attention_scratch(a.tokens, a.head_size, true));
        for (int64_t task = begin; task < end; task++)
          kernels().of(type).attention_backward(a, pointer<T>(dout), pointer<T>(dquery), pointer<T>(dkey),
                                                pointer<T>(dvalue), task, scratch);
      });
    });
    return {dquery, dkey, dvalue, {}, {}, {}, {}, {}, {}, {}};
  }
};

}  // namespace
}  // namespace retune

// softmax(q kᵀ · scale) v per head; q [B, Q, heads * K], k and v [B, T, groups * K]; `mask` [B, T] bool (true = may be attended to)
// or null; `bounds` [R, Q, 2] int32, the first key that a query sees and the one behind the last, within 0 and T, or null.
extern "C" int retune_attention(at::Tensor** out, const at::Tensor* query, const at::Tensor* key,
                                const at::Tensor* value, const at::Tensor* mask, const at::Tensor* bounds, int64_t heads,
                                double scale, double p, int64_t seed) {
  RETUNE_TRY({
    const bool graph = retune::wants_graph({query, key, value});
    *out = new at::Tensor(retune::AttentionNode::apply(*query, *key, *value, retune::maybe(mask), retune::maybe(bounds), heads, scale,
                                                       p, seed, graph));
  })
}
