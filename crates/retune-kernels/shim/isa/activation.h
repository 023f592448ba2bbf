// Activations with their derivatives, bias sums. The derivative is what the backward pass keeps: it costs the memory
// of the pre-activation and saves computing erf and exp twice.
#pragma once

struct ValueSlope {
  Floats value, slope;
};

// Gaussian distribution function through exp(-x²/2) times a polynomial in t = 1/(1 + |x|/4), fitted to
// erfcx(|x|/√2)/2: absolute error 9e-9 before rounding, relative error 2e-5 in the lower tail.
INLINE ValueSlope gelu(Floats x) {
  const Floats size = (Floats)((Ints)x & 0x7fffffff);
  const Floats t = reciprocal(size * 0.25f + 1.0f);
  const Floats bell = exponential(x * x * -0.5f);
  Floats p = t * -0.090459981f + 0.336619504f;
  p = p * t - 0.25809917f;
  p = p * t + 0.272942301f;
  p = p * t + 0.0289216544f;
  p = p * t + 0.111158436f;
  p = p * t + 0.0989172636f;
  const Floats tail = p * t * bell;
  const Floats below = x < 0.0f ? tail : 1.0f - tail;
  return {x * below, x * bell * 0.398942280f + below};
}

// 2^x to 8e-5 of it for -115 <= x <= 0, constant below; NaN of NaN.
INLINE Floats rough_power_of_two(Floats x) {
  x = maximum(broadcast(-115.0f), x);
  const Floats shifted = x + ROUNDER, r = x - (shifted - ROUNDER);
  Floats p = r * 0.05517165f + 0.24261133f;
  p = p * r + 0.693261f;
  p = p * r + 0.99992806f;
  return times_power_of_two(p, shifted);
}

// The same for results in bf16, fitted to relative errors: 4e-4 in the lower tail, where rounding to bf16 loses 4e-3 at worst.
INLINE ValueSlope rough_gelu(Floats x) {
  const Floats size = (Floats)((Ints)x & 0x7fffffff);
  const Floats t = rough_reciprocal(size * 0.3f + 1.0f);
  const Floats bell = rough_power_of_two(x * x * -0.72134752f);
  Floats p = t * 0.20884451f + 0.03558814f;
  p = p * t + 0.13747796f;
  p = p * t + 0.11820442f;
  const Floats tail = p * t * bell;
  const Floats below = x < 0.0f ? tail : 1.0f - tail;
  return {x * below, x * bell * 0.398942280f + below};
}

// As exact as T holds it.
template <class T>
constexpr ValueSlope (*gelu_for)(Floats) = sizeof(T) == 2 ? rough_gelu : gelu;

INLINE Floats sigmoid(Floats x) { return reciprocal(exponential(-x) + 1.0f); }

INLINE ValueSlope gelu_tanh(Floats x) {
  // (1 + tanh(u))/2 = sigmoid(2u), which is 0 or 1 long before |x| = 12; beyond, the square might overflow.
  const Floats near = -maximum(broadcast(-12.0f), -maximum(broadcast(-12.0f), x)), square = near * near;
  const Floats below = sigmoid(near * (square * 0.0713548163f + 1.59576912f));
  return {x * below, near * below * (1.0f - below) * (square * 0.214064449f + 1.59576912f) + below};
}

INLINE ValueSlope relu(Floats x) {
  return {x < 0.0f ? Floats{} : x, x > 0.0f ? broadcast(1.0f) : Floats{}};
}

INLINE ValueSlope silu(Floats x) {
  const Floats below = sigmoid(x);
  return {x * below, x * below * (1.0f - below) + below};
}

template <class T>
static void add_bias(T* x, const T* bias, int64_t width, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; r++) {
    T* row = x + r * width;
    over_row(width, ROW_BODY { store_(row + i, load_(row + i) + load_(bias + i)); });
  }
}

template <ValueSlope (*FUNCTION)(Floats), class T>
INLINE void activate(T* x, const T* bias, T* derivative, int64_t width, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; r++) {
    T* row = x + r * width;
    T* slopes = derivative ? derivative + r * width : nullptr;
    over_row(width, ROW_BODY {
      const ValueSlope result = FUNCTION(bias ? load_(row + i) + load_(bias + i) : load_(row + i));
      store_(row + i, result.value);
      if (slopes) store_(slopes + i, result.slope);
    });
  }
}

template <class T>
static void bias_activation(T* x, const T* bias, T* derivative, int64_t width, int64_t begin, int64_t end,
                            Activation activation) {
  switch (activation) {
    case Activation::identity: return;  // add_bias does that
    case Activation::gelu: return activate<gelu_for<T>>(x, bias, derivative, width, begin, end);
    case Activation::gelu_tanh: return activate<gelu_tanh>(x, bias, derivative, width, begin, end);
    case Activation::relu: return activate<relu>(x, bias, derivative, width, begin, end);
    case Activation::silu: return activate<silu>(x, bias, derivative, width, begin, end);
  }
}

template <class T>
static void activation_backward(const T* dy, const T* derivative, T* out, float* sums, int64_t width, int64_t begin,
                                int64_t end) {
  for (int64_t r = begin; r < end; r++) {
    const int64_t offset = r * width;
    over_row(width, ROW_BODY {
      Floats d = load_(dy + offset + i);
      if (derivative) {
        d *= load_(derivative + offset + i);
        store_(out + offset + i, d);
      }
      if (sums) store_(sums + i, load_(sums + i) + d);
    });
  }
}

// y = f(gate) up; with dy in place of y: dgate = dy up f'(gate) and dup = dy f(gate).
template <ValueSlope (*FUNCTION)(Floats), class T>
INLINE void gate_rows(const Gate& g, const T* dys, int64_t begin, int64_t end) {
  const int64_t width = g.width;
  for (int64_t r = begin; r < end; r++) {
    const T *gate = (const T*)g.gate + r * g.stride, *up = (const T*)g.up + r * g.stride;
    if (!dys) {
      T* y = (T*)g.y + r * width;
      over_row(width, ROW_BODY { store_(y + i, FUNCTION(load_(gate + i)).value * load_(up + i)); });
      continue;
    }
    const T* dy = dys + r * width;
    T *dgate = (T*)g.dgate + r * g.stride, *dup = (T*)g.dup + r * g.stride;
    over_row(width, ROW_BODY {
      const ValueSlope result = FUNCTION(load_(gate + i));
      const Floats d = load_(dy + i);
      store_(dgate + i, d * load_(up + i) * result.slope);
      store_(dup + i, d * result.value);
    });
  }
}

// Forward without dy, backward with it.
template <class T>
static void gated(const Gate& g, const T* dy, int64_t begin, int64_t end) {
  switch (g.activation) {
    case Activation::identity: return;  // never asked for
    case Activation::gelu: return gate_rows<gelu_for<T>>(g, dy, begin, end);
    case Activation::gelu_tanh: return gate_rows<gelu_tanh>(g, dy, begin, end);
    case Activation::relu: return gate_rows<relu>(g, dy, begin, end);
    case Activation::silu: return gate_rows<silu>(g, dy, begin, end);
  }
}
