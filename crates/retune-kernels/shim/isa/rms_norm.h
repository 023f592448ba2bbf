// Root mean square norm (Zhang & Sennrich 2019) of rows, forward and backward. D = width. Statistics and sums are fp32; the backward
// pass computes the normalised row again from its input, which the residual keeps anyway.
#pragma once

template <class X, class T>
INLINE void rms_norm_forward_of(const RmsNorm& n, int64_t begin, int64_t end) {
  const int64_t width = n.width;
  for (int64_t r = begin; r < end; r++) {
    const X* x = (const X*)n.x + r * width;
    T* y = (T*)n.y + r * width;
    Floats squares = {};
    over_row(width, ROW_BODY {
      const Floats value = load_(x + i);
      squares += value * value;
    });
    const float rstd = 1.0f / __builtin_sqrtf(sum(squares) / (float)width + n.epsilon);
    if (n.rstd) n.rstd[r] = rstd;
    over_row(width, ROW_BODY { store_(y + i, load_(x + i) * rstd * (load_(n.weight + i) + n.offset)); });
  }
}

template <class T>
static void rms_norm_forward(const RmsNorm& n, int64_t begin, int64_t end) {
  n.wide ? rms_norm_forward_of<float, T>(n, begin, end) : rms_norm_forward_of<T, T>(n, begin, end);
}

// With g = dy (weight + offset) and hat = x rstd: dx = rstd (g - hat mean(g hat)).
template <class X, class T>
INLINE void rms_norm_backward_of(const RmsNorm& n, const T* dys, X* dxs, float* dweight, int64_t begin, int64_t end) {
  const int64_t width = n.width;
  for (int64_t r = begin; r < end; r++) {
    const X* x = (const X*)n.x + r * width;
    const T* dy = dys + r * width;
    const float rstd = n.rstd[r];
    Floats projection = {};
    over_row(width, ROW_BODY {
      const Floats d = load_(dy + i), hat = load_(x + i) * rstd;
      if (dweight) store_(dweight + i, load_(dweight + i) + d * hat);
      projection += d * (load_(n.weight + i) + n.offset) * hat;
    });
    if (!dxs) continue;
    X* dx = dxs + r * width;
    const float slope = sum(projection) / (float)width * rstd;
    over_row(width, ROW_BODY {
      const Floats scaled = load_(dy + i) * (load_(n.weight + i) + n.offset);
      store_(dx + i, (scaled - load_(x + i) * slope) * rstd);
    });
  }
}

template <class T>
static void rms_norm_backward(const RmsNorm& n, const T* dy, void* dx, float* dweight, int64_t begin, int64_t end) {
  n.wide ? rms_norm_backward_of<float, T>(n, dy, (float*)dx, dweight, begin, end)
         : rms_norm_backward_of<T, T>(n, dy, (T*)dx, dweight, begin, end);
}
