// The arithmetic of one AdamW step (Loshchilov & Hutter 2019, decoupled decay; bias correction as torch.optim.AdamW).
#pragma once
#include <cmath>

struct AdamWStep {
  float step_size;         // learning rate / (1 - beta1^t)
  float keep;              // 1 - learning rate * decay
  float correction2_sqrt;  // sqrt(1 - beta2^t)
  float beta1, beta2, epsilon;
  float scale;  // of the gradient
};

static inline __attribute__((always_inline)) void adamw_element(float& w, float g, float& m, float& v,
                                                                 const AdamWStep& s) {
  const float gradient = g * s.scale;
  const float first = m = s.beta1 * m + (1.0f - s.beta1) * gradient;
  const float second = v = s.beta2 * v + (1.0f - s.beta2) * gradient * gradient;
  w = w * s.keep - s.step_size * first / (std::sqrt(second) / s.correction2_sqrt + s.epsilon);
}
