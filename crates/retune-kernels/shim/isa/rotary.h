// Rotary position embeddings (Su et al. 2021) of heads whose first 2 R dimensions turn as pairs of two halves.
#pragma once

template <class T>
static void rotate(const Rotation& a, int64_t begin, int64_t end) {
  const int64_t half = a.half;
  for (int64_t r = begin; r < end; r++) {
    const int64_t angle = r % a.angles * half;
    const float *cos = a.cos + angle, *sin = a.sin + angle;
    const T* in = (const T*)a.in + r / a.tokens * a.batch_stride + r % a.tokens * a.token_stride;
    T* out = (T*)a.out + r * a.heads * a.head_size;
    for (int64_t head = 0; head < a.heads; head++, in += a.head_stride, out += a.head_size) {
      over_row(half, ROW_BODY {
        const Floats first = load_(in + i), second = load_(in + half + i);
        const Floats c = load_(cos + i), s = load_(sin + i) * a.direction;
        store_(out + i, first * c - second * s);
        store_(out + half + i, second * c + first * s);
      });
      over_row(a.head_size - 2 * half, ROW_BODY { store_(out + 2 * half + i, load_(in + 2 * half + i)); });
    }
  }
}
