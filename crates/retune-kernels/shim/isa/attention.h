// Softmax attention of one (batch, group of heads) pair, all of it in cache; the backward pass computes the scores again.
// T tokens, Q queries, K head size, P and S are K and T rounded up to whole vectors. Query rows go in blocks, so that scratch stays small.
// Keys that no query of a block sees are left out of its products.
#pragma once

constexpr int64_t ROWS = 64;  // query rows per block

INLINE int64_t padded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

// An element of a product is a float, or two bf16 that are neighbours along its depth.
INLINE Floats multiply_add(Floats sum, Floats a, Floats b) { return sum + a * b; }

#if defined(__AVX512BF16__)
typedef uint32_t Pair;

INLINE Words load(const Pair* from) {
  Words value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

INLINE void store(Pair* to, Words value) { __builtin_memcpy(to, &value, sizeof value); }

INLINE Words broadcast(Pair value) { return value + Words{}; }

INLINE Floats multiply_add(Floats sum, Words a, Words b) {
  return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
#endif

// C[m][n] (+)= sum over k of A(m, k) B[k][n] for M rows and N vectors; A(m, k) = a[m*row + k*column].
template <int M, int N, bool ADD, class E>
INLINE void product_tile(float* c, int64_t ldc, const E* a, int64_t row, int64_t column, const E* b, int64_t ldb,
                         int64_t depth) {
  Floats sums[M][N] = {};
  for (int64_t k = 0; k < depth; k++) {
    decltype(load(b)) line[N];
    for (int n = 0; n < N; n++) line[n] = load(b + k * ldb + n * LANES);
    for (int m = 0; m < M; m++) {
      const auto factor = broadcast(a[m * row + k * column]);
      for (int n = 0; n < N; n++) sums[m][n] = multiply_add(sums[m][n], factor, line[n]);
    }
  }
  for (int m = 0; m < M; m++)
    for (int n = 0; n < N; n++) {
      float* to = c + m * ldc + n * LANES;
      store(to, ADD ? load(to) + sums[m][n] : sums[m][n]);
    }
}

template <int N, bool ADD, class E>
static void product_columns(float* c, int64_t ldc, const E* a, int64_t row, int64_t column, const E* b, int64_t ldb,
                            int64_t rows, int64_t depth) {
  constexpr int64_t MOST = LANES < 16 ? (N > 2 ? 3 : 4) : N < 3 ? 8 : 6;
  int64_t tiles = (rows + MOST - 1) / MOST;
  for (; tiles > 0; tiles--) {
    const int64_t m = (rows + tiles - 1) / tiles;  // even tiles: a last one of a single row would wait for its sums
    switch (m) {
      case 1: product_tile<1, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
      case 2: product_tile<2, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
      case 3: product_tile<3, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
      case 4: product_tile<4, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
      case 5: product_tile<5, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
      case 6: product_tile<6, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
      case 7: product_tile<7, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
      default: product_tile<8, N, ADD>(c, ldc, a, row, column, b, ldb, depth); break;
    }
    c += m * ldc;
    a += m * row;
    rows -= m;
  }
}

// `columns` is a multiple of LANES.
template <bool ADD = false, class E>
static void product(float* c, int64_t ldc, const E* a, int64_t row, int64_t column, const E* b, int64_t ldb,
                    int64_t rows, int64_t columns, int64_t depth) {
  int64_t vectors = columns / LANES;
  for (int64_t tiles = (vectors + 3) / 4; tiles > 0; tiles--) {
    const int64_t n = (vectors + tiles - 1) / tiles;
    switch (n) {
      case 1: product_columns<1, ADD>(c, ldc, a, row, column, b, ldb, rows, depth); break;
      case 2: product_columns<2, ADD>(c, ldc, a, row, column, b, ldb, rows, depth); break;
      case 3: product_columns<3, ADD>(c, ldc, a, row, column, b, ldb, rows, depth); break;
      default: product_columns<4, ADD>(c, ldc, a, row, column, b, ldb, rows, depth); break;
    }
    c += n * LANES;
    b += n * LANES;
    vectors -= n;
  }
}

// Rows of K elements, `stride` apart, to fp32 rows of P; the rest of each row is zero.
template <class T>
INLINE void widen_rows(float* to, const T* from, int64_t rows, int64_t width, int64_t stride) {
  const int64_t wide = padded(width);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < wide; i += LANES)
      store(to + r * wide + i, i + LANES <= width ? load(from + r * stride + i)
                                                  : load(from + r * stride + i, (int)(width - i)));
}

// fp32 rows of `wide` to rows of K elements, `stride` apart.
template <class T>
INLINE void narrow_rows(T* to, const float* from, int64_t rows, int64_t width, int64_t wide, int64_t stride,
                        float scale) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < width; i += LANES) {
      const Floats value = load(from + r * wide + i) * scale;
      if (i + LANES <= width) store(to + r * stride + i, value);
      else store(to + r * stride + i, value, (int)(width - i));
    }
}

// One exchange of the LANES x LANES transposition: blocks of STEP swap across the diagonal.
template <int STEP>
INLINE void exchange(Floats* rows) {
  Ints first, second;
  for (int l = 0; l < LANES; l++) {
    first[l] = l & STEP ? LANES + l - STEP : l;
    second[l] = l & STEP ? LANES + l : l + STEP;
  }
  for (int i = 0; i < LANES; i++)
    if (!(i & STEP)) {
      const Floats a = rows[i], b = rows[i | STEP];
      rows[i] = __builtin_shuffle(a, b, first);
      rows[i | STEP] = __builtin_shuffle(a, b, second);
    }
  if constexpr (STEP * 2 < LANES) exchange<STEP * 2>(rows);
}

// [T][P] to [P][S] of 32-bit elements; columns beyond T are zero.
template <class E>
INLINE void transpose(E* to, const E* from, int64_t rows, int64_t wide) {
  const int64_t columns = padded(rows);
  for (int64_t r = 0; r < columns; r += LANES)
    for (int64_t i = 0; i < wide; i += LANES) {
      Floats block[LANES];
      for (int l = 0; l < LANES; l++) block[l] = r + l < rows ? (Floats)load(from + (r + l) * wide + i) : Floats{};
      exchange<1>(block);
      for (int l = 0; l < LANES; l++) store(to + (i + l) * columns + r, (decltype(load(to)))block[l]);
    }
}

static int64_t scratch_of_floats(int64_t tokens, int64_t head_size, bool backward) {
  const int64_t P = padded(head_size), S = padded(tokens), block = ROWS * P, scores = ROWS * S;
  const int64_t forward = 2 * S + 2 * S * P + 2 * block + scores;
  return backward ? 2 * S + 6 * S * P + 3 * block + 3 * scores : forward;
}

// 0 for keys that may be attended to and -3e38 for others; and the same as 1 and 0.
INLINE void key_masks(const Attention& a, int64_t batch, float* penalty, float* keep) {
  const int64_t S = padded(a.tokens);
  for (int64_t j = 0; j < S; j++) {
    const bool open = j < a.tokens && (!a.allowed || a.allowed[batch * a.tokens + j]);
    penalty[j] = open ? 0.0f : -3e38f;
    keep[j] = open ? 1.0f : 0.0f;
  }
}

// The keys that a query sees; of a block of queries, those that some of them sees.
struct Span {
  int64_t first, end;
};

INLINE Span span_of(const Attention& a, int64_t batch, int64_t query) {
  if (!a.bounds) return {0, a.tokens};
  const int32_t* bounds = a.bounds + (batch % a.bounded_rows * a.queries + query) * 2;
  return {bounds[0], bounds[1]};
}

// `first` begins a whole vector.
INLINE Span span_of_block(const Attention& a, int64_t batch, int64_t first, int64_t count) {
  Span all = {a.tokens, 0};
  for (int64_t r = 0; r < count; r++) {
    const Span span = span_of(a, batch, first + r);
    all.first = span.first < all.first ? span.first : all.first;
    all.end = span.end > all.end ? span.end : all.end;
  }
  if (all.first >= all.end) return {0, 0};
  return {all.first / LANES * LANES, all.end};
}

// Lanes of keys from `j` inside the span, the others replaced.
INLINE Floats within(Floats value, float beyond, int64_t j, Span span) {
  if (j >= span.first && j + LANES <= span.end) return value;
  const Ints place = (Ints)lane_numbers() + (int)j;
  return ((place >= (int)span.first) & (place < (int)span.end)) ? value : broadcast(beyond);
}

// Scores to exp(score - peak), in place; returns peak and the reciprocal of the sum, which is 0 where nothing is open. A row holds
// the keys from `from` on, `columns` of them.
struct Statistics {
  float peak, inverse;
};

INLINE Statistics softmax_row(float* row, int64_t columns, float scale, const float* penalty, const float* keep,
                              int64_t from, Span span) {
  Floats most = broadcast(-3e38f), total = {};
  for (int64_t j = 0; j < columns; j += LANES) {
    const Floats value = within(load(row + j) * scale + load(penalty + from + j), -3e38f, from + j, span);
    store(row + j, value);
    most = maximum(value, most);
  }
  const float peak = maximum(most);
  for (int64_t j = 0; j < columns; j += LANES) {
    const Floats value =
        within(exponential(load(row + j) - peak) * load(keep + from + j), 0.0f, from + j, span);
    store(row + j, value);
    total += value;
  }
  const float mass = sum(total);
  return {peak, mass == 0 ? 0 : 1.0f / mass};
}

// The row again from its statistics: weights behind dropout to `kept`, gradients of the scores to `slope`, where the
// gradients of the kept weights come in.
template <class T>
INLINE void slope_row(float* row, T* kept, float* slope, int64_t columns, float scale, const float* penalty,
                      const float* keep, int64_t from, Span span, Statistics statistics, int64_t index, const Drop& d) {
  Floats expected = {};
  for (int64_t j = 0; j < columns; j += LANES) {
    const Floats score = within(load(row + j) * scale + load(penalty + from + j), -3e38f, from + j, span);
    const Floats open = within(load(keep + from + j), 0.0f, from + j, span);
    const Floats weight = exponential(score - statistics.peak) * open * statistics.inverse;
    const Floats kept_weight = maybe_drop(weight, index + from + j, d), change = kept_weight * load(slope + j);
    store(row + j, weight);
    store(kept + j, kept_weight);
    store(slope + j, change);
    expected += change;
  }
  const float mean = sum(expected);
  for (int64_t j = 0; j < columns; j += LANES) store(slope + j, load(slope + j) - load(row + j) * mean);
}

template <class T>
static void attention_forward(const Attention& a, T* out, int64_t task, float* scratch) {
  const int64_t tokens = a.tokens, K = a.head_size, P = padded(K), S = padded(tokens), each = a.heads / a.groups;
  const int64_t batch = task / a.groups, group = task % a.groups, at = batch * tokens * a.stride + group * K;
  const int64_t out_stride = a.heads * K;
  const Drop d = make_drop(a.dropout);
  float *penalty = scratch, *keep = penalty + S, *transposed = keep + S, *rows = transposed + P * S,
        *query = rows + S * P, *scores = query + ROWS * P, *result = scores + ROWS * S;
  key_masks(a, batch, penalty, keep);
  widen_rows(rows, (const T*)a.key + at, tokens, K, a.stride);
  transpose(transposed, rows, tokens, P);
  widen_rows(rows, (const T*)a.value + at, tokens, K, a.stride);
  for (int64_t head = group * each; head < (group + 1) * each; head++)
    for (int64_t first = 0; first < a.queries; first += ROWS) {
      const int64_t count = a.queries - first < ROWS ? a.queries - first : ROWS;
      const Span block = span_of_block(a, batch, first, count);
      const int64_t columns = padded(block.end - block.first), depth = block.end - block.first;
      const T* from = (const T*)a.query + (batch * a.queries + first) * a.query_stride + head * K;
      widen_rows(query, from, count, K, a.query_stride);
      product(scores, S, query, P, 1, transposed + block.first, S, count, columns, K);
      for (int64_t r = 0; r < count; r++) {
        float* row = scores + r * S;
        const Statistics statistics =
            softmax_row(row, columns, a.scale, penalty, keep, block.first, span_of(a, batch, first + r));
        const int64_t place = (batch * a.heads + head) * a.queries + first + r, index = place * tokens + block.first;
        for (int64_t j = 0; j < columns; j += LANES)
          store(row + j, maybe_drop(load(row + j) * statistics.inverse, index + j, d));
        if (a.statistics) __builtin_memcpy(a.statistics + 2 * place, &statistics, sizeof statistics);
      }
      product(result, P, scores, S, 1, rows + block.first * P, P, count, P, depth);
      narrow_rows(out + (batch * a.queries + first) * out_stride + head * K, result, count, K, P, out_stride, 1.0f);
    }
}

template <class T>
static void attention_backward(const Attention& a, const T* dout, T* dquery, T* dkey, T* dvalue, int64_t task,
                               float* scratch) {
  const int64_t tokens = a.tokens, K = a.head_size, P = padded(K), S = padded(tokens), each = a.heads / a.groups;
  const int64_t batch = task / a.groups, group = task % a.groups, at = batch * tokens * a.stride + group * K;
  const int64_t stride = a.heads * K, key_stride = a.groups * K, to = batch * tokens * key_stride + group * K;
  const Drop d = make_drop(a.dropout);
  float *penalty = scratch, *keep = penalty + S, *key = keep + S, *key_t = key + S * P, *value_t = key_t + P * S,
        *spare = value_t + P * S, *dkeys = spare + S * P, *dvalues = dkeys + S * P, *query = dvalues + S * P,
        *direction = query + ROWS * P, *result = direction + ROWS * P, *weights = result + ROWS * P,
        *dropped = weights + ROWS * S, *slopes = dropped + ROWS * S;
  key_masks(a, batch, penalty, keep);
  widen_rows(key, (const T*)a.key + at, tokens, K, a.stride);
  transpose(key_t, key, tokens, P);
  widen_rows(spare, (const T*)a.value + at, tokens, K, a.stride);
  transpose(value_t, spare, tokens, P);
  for (int64_t i = 0; i < S * P; i += LANES) {
    store(dkeys + i, Floats{});
    store(dvalues + i, Floats{});
  }
  for (int64_t head = group * each; head < (group + 1) * each; head++)
    for (int64_t first = 0; first < a.queries; first += ROWS) {
      const int64_t count = a.queries - first < ROWS ? a.queries - first : ROWS;
      const Span block = span_of_block(a, batch, first, count);
      const int64_t columns = padded(block.end - block.first), depth = block.end - block.first;
      const int64_t row = batch * a.queries + first, to_query = row * stride + head * K;
      widen_rows(query, (const T*)a.query + row * a.query_stride + head * K, count, K, a.query_stride);
      widen_rows(direction, dout + to_query, count, K, stride);
      product(weights, S, query, P, 1, key_t + block.first, S, count, columns, K);
      product(slopes, S, direction, P, 1, value_t + block.first, S, count, columns, K);
      for (int64_t r = 0; r < count; r++) {
        const int64_t place = (batch * a.heads + head) * a.queries + first + r;
        Statistics statistics;
        __builtin_memcpy(&statistics, a.statistics + 2 * place, sizeof statistics);
        slope_row(weights + r * S, dropped + r * S, slopes + r * S, columns, a.scale, penalty, keep, block.first,
                  span_of(a, batch, first + r), statistics, place * tokens, d);
      }
      const int64_t seen = block.first * P;
      product<true>(dvalues + seen, P, dropped, 1, S, direction, P, depth, P, count);
      product(result, P, slopes, S, 1, key + seen, P, count, P, depth);
      narrow_rows(dquery + to_query, result, count, K, P, stride, a.scale);
      product<true>(dkeys + seen, P, slopes, 1, S, query, P, depth, P, count);
    }
  narrow_rows(dkey + to, dkeys, tokens, K, P, key_stride, a.scale);
  narrow_rows(dvalue + to, dvalues, tokens, K, P, key_stride, 1.0f);
}
