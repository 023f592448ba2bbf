// attention.h for bf16 where the processor multiplies pairs of bf16 (vdpbf16ps), at twice the rate of fp32. Sums,
// maxima, exponentials and dropout stay fp32; probabilities and their gradients are rounded to bf16 between products, which are those
// of tiles.h.
// T tokens, K head size; P rounds K up to two vectors, W = P/2 pairs, S rounds T up to whole vectors.
#pragma once

#if defined(__AVX512BF16__)

INLINE int64_t padded_pairs(int64_t n) { return (n + 2 * LANES - 1) / (2 * LANES) * LANES; }

// Rows of K bf16, `stride` apart, to rows of W pairs; the rest of each row is zero.
INLINE void pair_rows(Pair* to, const uint16_t* from, int64_t rows, int64_t width, int64_t stride) {
  const int64_t wide = 2 * padded_pairs(width), whole = width / (2 * LANES) * (2 * LANES);
  uint16_t* out = (uint16_t*)to;
  for (int64_t r = 0; r < rows; r++, out += wide, from += stride) {
    for (int64_t i = 0; i < whole; i += 2 * LANES) __builtin_memcpy(out + i, from + i, 4 * LANES);
    if (wide == whole) continue;
    __builtin_memcpy(out + whole, from + whole, (width - whole) * 2);
    __builtin_memset(out + width, 0, (wide - width) * 2);
  }
}

// Rows 2r and 2r + 1 of `from`, `stride` apart, to row r of `columns` pairs; a missing last row is zero.
INLINE void interleave(Pair* to, const uint16_t* from, int64_t rows, int64_t columns, int64_t stride) {
  for (int64_t r = 0; r < rows; r += 2)
    for (int64_t i = 0; i < columns; i += LANES) {
      const Words even = (Words)load(from + r * stride + i) >> 16;
      const Words odd = r + 1 < rows ? (Words)load(from + (r + 1) * stride + i) : Words{};
      store(to + r / 2 * columns + i, even | odd);
    }
}

static int64_t pairs_scratch(int64_t tokens, int64_t head_size, bool backward) {
  const int64_t W = padded_pairs(head_size), P = 2 * W, S = padded(tokens), even = (tokens + 1) / 2;
  const int64_t forward = 2 * S + S * W + W * S + even * P + ROWS * W + 2 * ROWS * S + ROWS * P;
  const int64_t own = 2 * S + 3 * S * W + even * P + 2 * S * P + 2 * ROWS * W + 5 * ROWS * S + 3 * ROWS * P;
  return backward ? own + S * ROWS : forward;
}

template <>
void attention_forward<uint16_t>(const Attention& a, uint16_t* out, int64_t task, float* scratch) {
  const int64_t tokens = a.tokens, K = a.head_size, W = padded_pairs(K), P = 2 * W, S = padded(tokens);
  const int64_t batch = task / a.groups, group = task % a.groups, at = batch * tokens * a.stride + group * K;
  const int64_t even = (tokens + 1) / 2, out_stride = a.heads * K, each = a.heads / a.groups;
  const Drop d = make_drop(a.dropout);
  const Tiles tiles;
  float *penalty = scratch, *keep = penalty + S;
  Pair *rows = (Pair*)(keep + S), *key_t = rows + S * W, *value = key_t + W * S, *query = value + even * P,
       *weights = query + ROWS * W;
  float *scores = (float*)(weights + ROWS * S), *result = scores + ROWS * S;
  key_masks(a, batch, penalty, keep);
  pair_rows(rows, (const uint16_t*)a.key + at, tokens, K, a.stride);
  transpose(key_t, rows, tokens, W);
  pair_rows(rows, (const uint16_t*)a.value + at, tokens, K, a.stride);
  interleave(value, (const uint16_t*)rows, tokens, P, P);
  for (int64_t head = group * each; head < (group + 1) * each; head++)
    for (int64_t first = 0; first < a.queries; first += ROWS) {
      const int64_t count = a.queries - first < ROWS ? a.queries - first : ROWS;
      const Span block = span_of_block(a, batch, first, count);
      const int64_t columns = padded(block.end - block.first), depth = (block.end - block.first + 1) / 2;
      const uint16_t* from = (const uint16_t*)a.query + (batch * a.queries + first) * a.query_stride + head * K;
      pair_rows(query, from, count, K, a.query_stride);
      tile_product(scores, S, query, W, key_t + block.first, S, count, columns, W);
      for (int64_t r = 0; r < count; r++) {
        float* row = scores + r * S;
        uint16_t* kept = (uint16_t*)weights + r * S;
        const Statistics statistics =
            softmax_row(row, columns, a.scale, penalty, keep, block.first, span_of(a, batch, first + r));
        const int64_t place = (batch * a.heads + head) * a.queries + first + r, index = place * tokens + block.first;
        for (int64_t j = 0; j < columns; j += LANES)
          store(kept + j, maybe_drop(load(row + j) * statistics.inverse, index + j, d));
        if (a.statistics) __builtin_memcpy(a.statistics + 2 * place, &statistics, sizeof statistics);
      }
      tile_product(result, P, weights, S / 2, value + block.first / 2 * P, P, count, padded(K), depth);
      narrow_rows(out + (batch * a.queries + first) * out_stride + head * K, result, count, K, P, out_stride, 1.0f);
    }
}

template <>
void attention_backward<uint16_t>(const Attention& a, const uint16_t* dout, uint16_t* dquery, uint16_t* dkey,
                                  uint16_t* dvalue, int64_t task, float* scratch) {
  const int64_t tokens = a.tokens, K = a.head_size, W = padded_pairs(K), P = 2 * W, S = padded(tokens);
  const int64_t batch = task / a.groups, group = task % a.groups, at = batch * tokens * a.stride + group * K;
  const int64_t even = (tokens + 1) / 2, width = padded(K), each = a.heads / a.groups;
  const int64_t stride = a.heads * K, key_stride = a.groups * K, to = batch * tokens * key_stride + group * K;
  const Drop d = make_drop(a.dropout);
  const Tiles tiles;
  float *penalty = scratch, *keep = penalty + S;
  Pair *rows = (Pair*)(keep + S), *key_t = rows + S * W, *value_t = key_t + W * S, *key = value_t + W * S,
       *query = key + even * P, *direction = query + ROWS * W, *crossed = direction + ROWS * W,
       *halves = crossed + ROWS * P, *pairs = halves + ROWS * S;
  float *dkeys = (float*)(pairs + ROWS * S), *dvalues = dkeys + S * P, *result = dvalues + S * P,
        *weights = result + ROWS * P, *slopes = weights + ROWS * S;
  Pair* turned = (Pair*)(slopes + ROWS * S);
  key_masks(a, batch, penalty, keep);
  pair_rows(rows, (const uint16_t*)a.value + at, tokens, K, a.stride);
  transpose(value_t, rows, tokens, W);
  pair_rows(rows, (const uint16_t*)a.key + at, tokens, K, a.stride);
  transpose(key_t, rows, tokens, W);
  interleave(key, (const uint16_t*)rows, tokens, P, P);
  __builtin_memset(dkeys, 0, 2 * S * P * sizeof(float));
  for (int64_t head = group * each; head < (group + 1) * each; head++)
    for (int64_t first = 0; first < a.queries; first += ROWS) {
      const int64_t count = a.queries - first < ROWS ? a.queries - first : ROWS, half = (count + 1) / 2;
      const Span block = span_of_block(a, batch, first, count);
      const int64_t seen = block.end - block.first, columns = padded(seen), skipped = block.first * P;
      const int64_t row = batch * a.queries + first, to_query = row * stride + head * K;
      pair_rows(query, (const uint16_t*)a.query + row * a.query_stride + head * K, count, K, a.query_stride);
      pair_rows(direction, dout + to_query, count, K, stride);
      tile_product(weights, S, query, W, key_t + block.first, S, count, columns, W);
      tile_product(slopes, S, direction, W, value_t + block.first, S, count, columns, W);
      for (int64_t r = 0; r < count; r++) {
        const int64_t place = (batch * a.heads + head) * a.queries + first + r;
        Statistics statistics;
        __builtin_memcpy(&statistics, a.statistics + 2 * place, sizeof statistics);
        slope_row(weights + r * S, (uint16_t*)halves + r * S, slopes + r * S, columns, a.scale, penalty, keep,
                  block.first, span_of(a, batch, first + r), statistics, place * tokens, d);
      }
      interleave(pairs, (const uint16_t*)halves, count, columns, S);
      interleave(crossed, (const uint16_t*)direction, count, P, P);
      tile_product_of_columns(dvalues + skipped, P, pairs, columns, crossed, P, seen, width, half, turned);
      for (int64_t r = 0; r < count; r++)
        for (int64_t j = 0; j < columns; j += LANES)
          store((uint16_t*)halves + r * S + j, load(slopes + r * S + j));
      tile_product(result, P, halves, S / 2, key + skipped / 2, P, count, width, (seen + 1) / 2);
      narrow_rows(dquery + to_query, result, count, K, P, stride, a.scale);
      interleave(pairs, (const uint16_t*)halves, count, columns, S);
      interleave(crossed, (const uint16_t*)query, count, P, P);
      tile_product_of_columns(dkeys + skipped, P, pairs, columns, crossed, P, seen, width, half, turned);
    }
  narrow_rows(dkey + to, dkeys, tokens, K, P, key_stride, a.scale);
  narrow_rows(dvalue + to, dvalues, tokens, K, P, key_stride, 1.0f);
}

#endif
