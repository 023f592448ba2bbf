// Inverted dropout whose mask is a pure function of (seed, element index): nothing is stored for the backward pass,
// and a resumed run draws the same masks. Reference: `reference_keep` in src/dropout.rs.
#include "shim.h"
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

// Two rounds of the "lowbias32" integer mixer (C. Wellons, hash-prospector), keyed before each round.
inline uint32_t mix(uint32_t index, uint32_t key_low, uint32_t key_high) {
  uint32_t x = index + key_low;
  x ^= x >> 16;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0xd35a2d97u;
  x ^= x >> 15;
  x ^= key_high;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0xd35a2d97u;
  x ^= x >> 15;
  return x;
}

RETUNE_CLONES void apply_float(const float* in, float* out, int64_t begin, int64_t end, uint32_t low, uint32_t high,
                               uint32_t threshold, float scale) {
  for (int64_t i = begin; i < end; i++) {
    out[i] = mix((uint32_t)i, low, high) >= threshold ? in[i] * scale : 0.0f;
  }
}

RETUNE_CLONES void apply_bfloat16(const uint16_t* in, uint16_t* out, int64_t begin, int64_t end, uint32_t low,
                                  uint32_t high, uint32_t threshold, float scale) {
  for (int64_t i = begin; i < end; i++) {
    uint32_t bits = (uint32_t)in[i] << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    value *= scale;
    __builtin_memcpy(&bits, &value, 4);
    // Round to nearest even; a NaN stays a NaN because the quiet bit is set first.
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    uint32_t quiet = (bits >> 16) | 0x40u;
    uint32_t result = (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
    out[i] = mix((uint32_t)i, low, high) >= threshold ? (uint16_t)result : (uint16_t)0;
  }
}

at::Tensor drop(const at::Tensor& input, double p, int64_t seed) {
  at::Tensor in = input.contiguous();
  at::Tensor out = at::empty_like(in);
  const uint32_t low = (uint32_t)seed, high = (uint32_t)((uint64_t)seed >> 32);
  const uint32_t threshold = (uint32_t)(p * 4294967296.0);
  const float scale = (float)(1.0 / (1.0 - p));
  if (in.scalar_type() == at::kFloat) {
    const float* source = in.data_ptr<float>();
    float* target = out.data_ptr<float>();
    at::parallel_for(0, in.numel(), 16384, [&](int64_t begin, int64_t end) {
      apply_float(source, target, begin, end, low, high, threshold, scale);
    });
  } else if (in.scalar_type() == at::kBFloat16) {
    const uint16_t* source = (const uint16_t*)in.data_ptr();
    uint16_t* target = (uint16_t*)out.data_ptr();
    at::parallel_for(0, in.numel(), 16384, [&](int64_t begin, int64_t end) {
      apply_bfloat16(source, target, begin, end, low, high, threshold, scale);
    });
  } else {
    TORCH_CHECK(false, "dropout kernel: unsupported dtype ", in.scalar_type());
  }
  return out;
}

struct Dropout : torch::autograd::Function<Dropout> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input, double p,
                            int64_t seed) {
    context->saved_data["p"] = p;
    context->saved_data["seed"] = seed;
    return drop(input, p, seed);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    return {drop(gradients[0], context->saved_data["p"].toDouble(), context->saved_data["seed"].toInt()),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" int retune_dropout(at::Tensor** out, const at::Tensor* input, double p, int64_t seed) {
  RETUNE_TRY(*out = new at::Tensor(Dropout::apply(*input, p, seed)))
}
