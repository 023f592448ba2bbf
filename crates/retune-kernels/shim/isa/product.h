// Matrix products of whole layers, C [M, N] = A [M, K] B [K, N]. At a few hundred rows they are as fast as oneDNN's or faster (benches/NOTES.md), and need
// neither machine code of their own for each size nor another pass for bias and activation.
// B comes in panels of PANEL columns, each packed when its turn comes, so that it is in the nearest caches while all rows
// of A pass by, TILE at a time; sums live in registers, begin with the bias, and reach memory finished (activation,
// rounding). Sums run over K in order, whatever the partition.
// An element of A and B has four bytes: a float, or two bf16 that are neighbours along K.
#pragma once

#if defined(__AVX2__)

constexpr int TILE = LANES == 16 ? 12 : 6;  // with two vectors of columns: as many sums as registers hold
constexpr int PANEL = 2 * LANES;

template <class T>
struct Format;

template <>
struct Format<float> {
  typedef float Element;
  static constexpr int64_t VALUES = 1;
};

#if defined(__AVX512BF16__)
template <>
struct Format<uint16_t> {
  typedef Pair Element;
  static constexpr int64_t VALUES = 2;
};
#endif

// C = bias + A B for M rows of C that are `columns` apart. A function of its own: inside another one, the general
// registers do not suffice for the rows' addresses. `depth` is not 0.
template <int M, class T, class E>
static __attribute__((noinline)) void tile_sums(T* c, int64_t columns, const float* bias, const E* a, int64_t stride,
                                                const E* b, int64_t depth) {
  Floats sums[M][2];
  const Floats left = load(bias), right = load(bias + LANES);
  for (int m = 0; m < M; m++) sums[m][0] = left, sums[m][1] = right;
  const E* end = a + depth;
  do {
    const auto first = load(b), second = load(b + LANES);
    for (int m = 0; m < M; m++) {
      const auto factor = broadcast(a[m * stride]);
      sums[m][0] = multiply_add(sums[m][0], factor, first);
      sums[m][1] = multiply_add(sums[m][1], factor, second);
    }
    b += PANEL;
  } while (++a != end);
  for (int m = 0; m < M; m++, c += columns) {
    store(c, sums[m][0]);
    store(c + LANES, sums[m][1]);
  }
}

template <int M, class T, class E>
INLINE void tile_of(int64_t rows, T* c, int64_t columns, const float* bias, const E* a, int64_t stride, const E* b,
                    int64_t depth) {
  if (rows == M) return tile_sums<M>(c, columns, bias, a, stride, b, depth);
  if constexpr (M > 1) tile_of<M - 1>(rows, c, columns, bias, a, stride, b, depth);
}

// f of `count` of each row's PANEL sums, and f' unless `slopes` is null.
template <ValueSlope (*FUNCTION)(Floats), class T>
INLINE void finish_rows(const float* sums, int64_t rows, int64_t count, T* out, T* slopes, int64_t columns) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < count; i += LANES) {
      const bool whole = i + LANES <= count;
      const int rest = (int)(count - i);
      const int64_t at = r * columns + i;
      const ValueSlope result = FUNCTION(load(sums + r * PANEL + i));
      whole ? store(out + at, result.value) : store(out + at, result.value, rest);
      if (slopes) whole ? store(slopes + at, result.slope) : store(slopes + at, result.slope, rest);
    }
}

INLINE ValueSlope identity(Floats x) { return {x, x}; }

template <class T>
static void finish_tile(Activation activation, const float* sums, int64_t rows, int64_t count, T* out, T* slopes,
                        int64_t columns) {
  switch (activation) {
    case Activation::identity: return finish_rows<identity>(sums, rows, count, out, slopes, columns);
    case Activation::gelu: return finish_rows<gelu_for<T>>(sums, rows, count, out, slopes, columns);
    case Activation::gelu_tanh: return finish_rows<gelu_tanh>(sums, rows, count, out, slopes, columns);
    case Activation::relu: return finish_rows<relu>(sums, rows, count, out, slopes, columns);
    case Activation::silu: return finish_rows<silu>(sums, rows, count, out, slopes, columns);
  }
}

// Fetches memory into the second-level cache, a part at each call: what is packed next has been elsewhere for a whole
// step, and its rows are too short for the processor to guess the next one.
struct Fetch {
  const Ahead& ahead;
  const int64_t lines, each;
  int64_t row = 0, line = 0;

  Fetch(const Ahead& ahead, int64_t calls)
      : ahead(ahead), lines((ahead.bytes + 63) / 64), each((ahead.rows * lines + calls - 1) / calls) {}

  void part() {
    for (int64_t i = 0; i < each && row < ahead.rows; i++) {
      __builtin_prefetch(ahead.from + row * ahead.stride + line * 64, 0, 2);
      if (++line == lines) line = 0, row++;
    }
  }
};

// Rows from `begin` to `end` times panel number `panel`, which `b` is.
template <class T>
static void product_panel(const Product& p, const Ahead& ahead, const void* b, int64_t begin, int64_t end, int64_t panel) {
  typedef typename Format<T>::Element E;
  alignas(64) float sums[TILE * PANEL], bias[PANEL] = {};
  const int64_t column = panel * PANEL, count = p.columns - column < PANEL ? p.columns - column : PANEL;
  if (p.bias) widen_rows(bias, (const T*)p.bias + column, 1, count, count);
  const bool finished = p.activation == Activation::identity && count == PANEL;
  Fetch fetch(ahead, (end - begin + TILE - 1) / TILE);
  for (int64_t row = begin; row < end; row += TILE) {
    fetch.part();
    const int64_t rows = end - row < TILE ? end - row : TILE, at = row * p.columns + column;
    const E* a = (const E*)p.a + row * p.a_stride;
    T *out = (T*)p.out + at, *slopes = p.derivative ? (T*)p.derivative + at : nullptr;
    if (finished) {
      tile_of<TILE>(rows, out, p.columns, bias, a, p.a_stride, (const E*)b, p.depth);
      continue;
    }
    tile_of<TILE>(rows, sums, PANEL, bias, a, p.a_stride, (const E*)b, p.depth);
    finish_tile(p.activation, sums, rows, count, out, slopes, p.columns);
  }
}

// Of B = fromᵀ for `from` [columns, depth]; what a panel has beyond the columns is zero.
static void pack_transposed(void* to, const void* values, int64_t columns, int64_t depth, int64_t panel) {
  const float* from = (const float*)values;
  for (int64_t half = 0; half < PANEL; half += LANES) {
    const int64_t first = panel * PANEL + half;
    for (int64_t k = 0; k < depth; k += LANES) {
      const int count = depth - k < LANES ? (int)(depth - k) : LANES;
      Floats block[LANES];
      for (int l = 0; l < LANES; l++) {
        const float* row = from + (first + l) * depth + k;
        if (first + l >= columns) block[l] = Floats{};
        else block[l] = count == LANES ? load(row) : load(row, count);
      }
      exchange<1>(block);
      for (int l = 0; l < count; l++) store((float*)to + (k + l) * PANEL + half, block[l]);
    }
  }
}

// LANES elements of row k of B, from column `i` on, for values `from` [rows, columns]; what is missing is zero.
INLINE Floats elements(const float* from, int64_t rows, int64_t columns, int64_t k, int64_t i) {
  if (i >= columns || k >= rows) return Floats{};
  const float* at = from + k * columns + i;
  return columns - i < LANES ? load(at, (int)(columns - i)) : load(at);
}

#if defined(__AVX512BF16__)
INLINE Words half_row(const uint16_t* at, int count) { return (Words)(count == LANES ? load(at) : load(at, count)); }

INLINE Floats elements(const uint16_t* from, int64_t rows, int64_t columns, int64_t k, int64_t i) {
  if (i >= columns || 2 * k >= rows) return Floats{};
  const int count = columns - i < LANES ? (int)(columns - i) : LANES;
  const uint16_t* at = from + 2 * k * columns + i;
  const Words even = half_row(at, count) >> 16;
  return (Floats)(2 * k + 1 < rows ? even | half_row(at + columns, count) : even);
}
#endif

// Of B = `from` [rows, columns].
template <class T>
static void pack_panel(void* to, const void* from, int64_t rows, int64_t columns, int64_t panel) {
  for (int64_t k = 0; k * Format<T>::VALUES < rows; k++)
    for (int64_t half = 0; half < PANEL; half += LANES)
      store((float*)to + k * PANEL + half, elements((const T*)from, rows, columns, k, panel * PANEL + half));
}

template <class T>
static void transpose_block(void* to, int64_t stride, const void* from, int64_t rows, int64_t columns, int64_t block) {
  const int64_t begin = block * LANES;
  for (int64_t k = 0; k * Format<T>::VALUES < rows; k += LANES) {
    Floats lines[LANES];
    for (int l = 0; l < LANES; l++) lines[l] = elements((const T*)from, rows, columns, k + l, begin);
    exchange<1>(lines);
    for (int l = 0; l < LANES && begin + l < columns; l++) store((float*)to + (begin + l) * stride + k, lines[l]);
  }
}

template <class T>
constexpr ProductKernels products() {
  return {Format<T>::VALUES, TILE, PANEL, LANES, product_panel<T>, pack_transposed, pack_panel<T>, transpose_block<T>};
}

#if !defined(__AVX512BF16__)
template <>
constexpr ProductKernels products<uint16_t>() { return {}; }
#endif

#else
template <class T>
constexpr ProductKernels products() { return {}; }
#endif
