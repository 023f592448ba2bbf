// Cross-entropy of rows of scores, and its gradient in their place. V = width; sums are fp32.
#pragma once

// The lanes from `count` on replaced.
INLINE Floats beyond(Floats value, int64_t count, float other) {
  for (int64_t lane = count; lane < LANES; lane++) value[lane] = other;
  return value;
}

template <class T>
static void cross_entropy(const CrossEntropy& c, int64_t begin, int64_t end) {
  const int64_t width = c.width;
  const float share = c.smoothing / (float)width;
  for (int64_t r = begin; r < end; r++) {
    T* row = (T*)c.scores + r * width;
    const int64_t target = c.targets[r];
    if (target < 0) {
      c.smoothed[r] = c.plain[r] = 0;
      c.correct[r] = false;
      if (c.gradient) over_row(width, ROW_BODY { store_(row + i, Floats{}); });
      continue;
    }
    const auto score = [&](int64_t i, auto load_) __attribute__((always_inline)) {
      return c.bias ? load_(row + i) + load_(c.bias + i) : load_(row + i);
    };
    const auto one = [&](int64_t i) { return score(i, [](auto* p) { return load(p, 1); })[0]; };
    Floats most = broadcast(-3e38f), all = {};
    over_row(width, ROW_BODY {
      const Floats value = score(i, load_);
      most = maximum(i + LANES <= width ? value : beyond(value, width - i, -3e38f), most);
      all += value;
    });
    const float peak = maximum(most);
    Floats mass = {};
    over_row(width, ROW_BODY { mass += inside(exponential(score(i, load_) - peak), i, width); });
    const float total = sum(mass), at_target = one(target), norm = peak + __builtin_logf(total);
    c.plain[r] = norm - at_target;
    c.smoothed[r] = (1 - c.smoothing) * (norm - at_target) + c.smoothing * (norm - sum(all) / (float)width);
    bool first = at_target == peak;
    for (int64_t i = 0; first && i < target; i++) first = one(i) != peak;
    c.correct[r] = first;
    if (!c.gradient) continue;
    const float inverse = 1.0f / total;
    over_row(width, ROW_BODY { store_(row + i, exponential(score(i, load_) - peak) * inverse - share); });
    const float whole = __builtin_expf(at_target - peak) * inverse - share - (1 - c.smoothing);
    store(row + target, broadcast(whole), 1);
  }
}
