// Layer normalisation (Ba et al. 2016) of rows with dropout before or after it, forward and backward.
// D = width. Statistics and sums are fp32; `normalised` is (x - mean) * rstd in the storage type.
#pragma once

// Calls body(column, load, store) over a row: load(pointer) and store(pointer, value) see whole vectors, then the rest.
template <class Body>
INLINE void over_row(int64_t width, Body body) {
  int64_t i = 0;
  for (; i + LANES <= width; i += LANES)
    body(i, [](auto* p) __attribute__((always_inline)) { return load(p); },
         [](auto* p, Floats v) __attribute__((always_inline)) { store(p, v); });
  const int rest = (int)(width - i);
  if (rest)
    body(i, [rest](auto* p) __attribute__((always_inline)) { return load(p, rest); },
         [rest](auto* p, Floats v) __attribute__((always_inline)) { store(p, v, rest); });
}

#define ROW_BODY [&](int64_t i, auto load_, auto store_) __attribute__((always_inline))

// Zeroes the lanes of a row's last vector that lie beyond it.
INLINE Floats inside(Floats value, int64_t i, int64_t width) {
  if (i + LANES <= width) return value;
  for (int lane = (int)(width - i); lane < LANES; lane++) value[lane] = 0;
  return value;
}

// y = drop?(norm(row)) of a row in fp32; `row` is overwritten.
template <class T>
INLINE void normalise_row(float* row, int64_t width, const float* weight, const float* bias, float epsilon, T* y,
                          T* normalised, float* rstd_out, int64_t index, const Drop& after) {
  Floats total = {};
  over_row(width, ROW_BODY { total += load_(row + i); });
  const float mean = sum(total) / (float)width;
  Floats squares = {};
  over_row(width, ROW_BODY {
    const Floats centred = inside(load_(row + i) - mean, i, width);
    store_(row + i, centred);
    squares += centred * centred;
  });
  const float rstd = 1.0f / __builtin_sqrtf(sum(squares) / (float)width + epsilon);
  if (rstd_out) *rstd_out = rstd;
  over_row(width, ROW_BODY {
    const Floats value = load_(row + i) * rstd;
    if (normalised) store_(normalised + i, value);
    store_(y + i, maybe_drop(value * load_(weight + i) + load_(bias + i), index + i, after));
  });
}

constexpr int64_t MAX_STACK_WIDTH = 8192;  // wider rows are refused before they come here

template <class T>
static void norm_forward(const NormForward& n, int64_t begin, int64_t end) {
  const int64_t width = n.width;
  const Drop none = make_drop({0, 0}), key = make_drop(n.dropout);
  const Drop before = n.kind == NormKind::drop_add_norm ? key : none;
  const Drop after = n.kind == NormKind::drop_add_norm ? none : key;
  float row[MAX_STACK_WIDTH];
  for (int64_t r = begin; r < end; r++) {
    const int64_t offset = r * width;
    const T* x = (const T*)n.x + offset;
    const T* residual = n.residual ? (const T*)n.residual + offset : nullptr;
    over_row(width, ROW_BODY {
      Floats value = maybe_drop(load_(x + i), offset + i, before);
      if (residual) value += load_(residual + i);
      store_(row + i, value);
    });
    normalise_row<T>(row, width, n.weight, n.bias, (float)n.epsilon, (T*)n.y + offset,
                     n.normalised ? (T*)n.normalised + offset : nullptr, n.rstd ? n.rstd + r : nullptr, offset, after);
  }
}

// Gradient of the norm's input: rstd (g - mean(g) - normalised mean(g normalised)) with g = dy weight.
// dx and dresidual are of type OUT, the other rows of type T.
template <class T, class OUT = T>
static void norm_backward(const NormBackward& n, int64_t begin, int64_t end) {
  const int64_t width = n.width;
  const Drop none = make_drop({0, 0}), key = make_drop(n.dropout);
  const Drop before = n.kind == NormKind::drop_add_norm ? key : none;
  const Drop after = n.kind == NormKind::drop_add_norm ? none : key;
  const float share = 1.0f / (float)width;
  float g[MAX_STACK_WIDTH];
  for (int64_t r = begin; r < end; r++) {
    const int64_t offset = r * width;
    const T *dy = (const T*)n.dy + offset, *normalised = (const T*)n.normalised + offset;
    Floats total = {}, projection = {};
    over_row(width, ROW_BODY {
      const Floats d = maybe_drop(load_(dy + i), offset + i, after), hat = load_(normalised + i);
      if (n.dweight) {
        store_(n.dweight + i, load_(n.dweight + i) + d * hat);
        store_(n.dbias + i, load_(n.dbias + i) + d);
      }
      const Floats scaled = d * load_(n.weight + i);
      store_(g + i, scaled);
      total += scaled;
      projection += scaled * hat;
    });
    if (!n.dx && !n.dresidual) continue;
    const float mean = sum(total) * share, slope = sum(projection) * share, rstd = n.rstd[r];
    OUT* dx = n.dx ? (OUT*)n.dx + offset : nullptr;
    OUT* dresidual = n.dresidual ? (OUT*)n.dresidual + offset : nullptr;
    over_row(width, ROW_BODY {
      const Floats d = (load_(g + i) - mean - load_(normalised + i) * slope) * rstd;
      if (dresidual) store_(dresidual + i, d);
      if (dx) store_(dx + i, maybe_drop(d, offset + i, before));
    });
  }
}

// One row of the embedding sum, its norm and dropout.
template <class T>
static void embedding_forward(const EmbeddingForward& e, int64_t begin, int64_t end) {
  const int64_t width = e.width;
  const Drop after = make_drop(e.dropout);
  float row[MAX_STACK_WIDTH];
  for (int64_t r = begin; r < end; r++) {
    const int64_t id = e.ids[r], compact = e.row_map ? e.row_map[id] : id;
    const float* word = compact >= 0 ? e.word + compact * width : e.rest + id * width;
    const float* position = e.position + (e.positions ? e.positions[r] : r % e.tokens_per_row) * width;
    const float* type = e.type ? e.type + (e.types ? e.types[r] : 0) * width : nullptr;
    over_row(width, ROW_BODY {
      Floats value = load_(word + i);
      if (type) value += load_(type + i);
      store_(row + i, value + load_(position + i));
    });
    const int64_t offset = r * width;
    normalise_row<T>(row, width, e.weight, e.bias, (float)e.epsilon, (T*)e.y + offset,
                     e.normalised ? (T*)e.normalised + offset : nullptr, e.rstd ? e.rstd + r : nullptr, offset, after);
  }
}
