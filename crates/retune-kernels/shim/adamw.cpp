// Gradient norm, and AdamW over a list of tensors in one pass each. Reference: `reference_step` in src/optimizer.rs.
#include "shim.h"
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <cmath>
#include <vector>

namespace {

constexpr int64_t CHUNK = 1 << 15;  // fixed, so that sums do not depend on the number of threads

inline float from_bfloat16(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  __builtin_memcpy(&result, &bits, 4);
  return result;
}

inline uint16_t to_bfloat16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x40u;
  return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

RETUNE_CLONES double squares_float(const float* values, int64_t count) {
  float lanes[64] = {0};
  int64_t i = 0;
  double total = 0;
  for (; i + 64 <= count; i += 64)
    for (int lane = 0; lane < 64; lane++) lanes[lane] += values[i + lane] * values[i + lane];
  for (int lane = 0; lane < 64; lane++) total += lanes[lane];
  for (; i < count; i++) total += (double)values[i] * values[i];
  return total;
}

RETUNE_CLONES double squares_bfloat16(const uint16_t* values, int64_t count) {
  float lanes[64] = {0};
  int64_t i = 0;
  double total = 0;
  for (; i + 64 <= count; i += 64)
    for (int lane = 0; lane < 64; lane++) {
      float value = from_bfloat16(values[i + lane]);
      lanes[lane] += value * value;
    }
  for (int lane = 0; lane < 64; lane++) total += lanes[lane];
  for (; i < count; i++) {
    double value = from_bfloat16(values[i]);
    total += value * value;
  }
  return total;
}

struct Step {
  float learning_rate, beta1, beta2, epsilon, decay, correction1, correction2_sqrt, scale;
};

RETUNE_CLONES void update_float(float* w, const float* g, float* m, float* v, uint16_t* copy, int64_t count, Step s) {
  const float step_size = s.learning_rate / s.correction1, keep = 1.0f - s.learning_rate * s.decay;
  for (int64_t i = 0; i < count; i++) {
    float gradient = g[i] * s.scale;
    float first = m[i] = s.beta1 * m[i] + (1.0f - s.beta1) * gradient;
    float second = v[i] = s.beta2 * v[i] + (1.0f - s.beta2) * gradient * gradient;
    w[i] = w[i] * keep - step_size * first / (std::sqrt(second) / s.correction2_sqrt + s.epsilon);
  }
  if (copy)
    for (int64_t i = 0; i < count; i++) copy[i] = to_bfloat16(w[i]);
}

RETUNE_CLONES void widen(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] = from_bfloat16(from[i]);
}

void check(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "optimizer tensors must be contiguous, on the CPU");
}

}  // namespace

extern "C" {

// Sum of squares per tensor, in double. A sum that is not finite marks the tensor as bad.
int retune_squared_norms(const at::Tensor* const* gradients, int64_t count, double* squares) {
  RETUNE_TRY({
    for (int64_t t = 0; t < count; t++) {
      const at::Tensor& gradient = *gradients[t];
      if (!gradient.device().is_cpu()) {
        squares[t] = gradient.to(at::kFloat).square().sum(at::kDouble).item<double>();
        continue;
      }
      check(gradient);
      const int64_t size = gradient.numel(), chunks = (size + CHUNK - 1) / CHUNK;
      std::vector<double> partial(chunks);
      at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t chunk = begin; chunk < end; chunk++) {
          const int64_t offset = chunk * CHUNK, length = std::min(CHUNK, size - offset);
          partial[chunk] = gradient.scalar_type() == at::kFloat
                               ? squares_float(gradient.data_ptr<float>() + offset, length)
                               : squares_bfloat16((const uint16_t*)gradient.data_ptr() + offset, length);
        }
      });
      squares[t] = 0;
      for (double value : partial) squares[t] += value;
    }
  })
}

// One AdamW step (Loshchilov & Hutter 2019, decoupled decay; bias correction as torch.optim.AdamW) of every tensor.
// `copies[t]` is the bf16 tensor the forward pass reads, or null where it reads `masters[t]` itself.
int retune_adamw(at::Tensor* const* masters, const at::Tensor* const* gradients, at::Tensor* const* firsts,
                 at::Tensor* const* seconds, at::Tensor* const* copies, const float* learning_rates,
                 const float* decays, int64_t count, int64_t step, double beta1, double beta2, double epsilon,
                 double scale) {
  RETUNE_TRY({

    at::AutoGradMode guard(false);
    const float correction1 = (float)(1.0 - std::pow(beta1, (double)step));
    const float correction2_sqrt = (float)std::sqrt(1.0 - std::pow(beta2, (double)step));
    for (int64_t t = 0; t < count; t++) {
      at::Tensor &master = *masters[t], &first = *firsts[t], &second = *seconds[t];
      const at::Tensor& gradient = *gradients[t];
      at::Tensor* copy = copies[t];
      if (!master.device().is_cpu()) {
        at::Tensor scaled = gradient.to(at::kFloat) * scale;
        first.mul_(beta1).add_(scaled, 1.0 - beta1);
        second.mul_(beta2).addcmul_(scaled, scaled, 1.0 - beta2);
        master.mul_(1.0 - (double)learning_rates[t] * decays[t]);
        master.addcdiv_(first, (second.sqrt() / correction2_sqrt).add_(epsilon), -learning_rates[t] / correction1);
        if (copy) copy->copy_(master);
        continue;
      }
      check(master), check(gradient), check(first), check(second);
      if (copy) check(*copy);
      const Step settings{learning_rates[t], (float)beta1,     (float)beta2,     (float)epsilon,
                          decays[t],         correction1,      correction2_sqrt, (float)scale};
      const int64_t size = master.numel(), chunks = (size + CHUNK - 1) / CHUNK;
      at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> wide;
        for (int64_t chunk = begin; chunk < end; chunk++) {
          const int64_t offset = chunk * CHUNK, length = std::min(CHUNK, size - offset);
          const float* g;
          if (gradient.scalar_type() == at::kFloat) {
            g = gradient.data_ptr<float>() + offset;
          } else {
            wide.resize(CHUNK);
            widen((const uint16_t*)gradient.data_ptr() + offset, wide.data(), length);
            g = wide.data();
          }
          update_float(master.data_ptr<float>() + offset, g, first.data_ptr<float>() + offset,
                       second.data_ptr<float>() + offset, copy ? (uint16_t*)copy->data_ptr() + offset : nullptr,
                       length, settings);
        }
      });
    }
  })
}
}
