// Matrix products of whole layers, C [M, N] = A [M, K] B [K, N]. At a few hundred rows they are as fast as oneDNN's, and
// need neither machine code of their own for each size nor another pass for bias and activation. In fp32 oneDNN's are faster.
// B lies in panels of PANEL columns, so that one panel stays in the nearest cache while a tile of TILE rows after the
// other passes by; sums live in registers and are finished (bias, activation, rounding) before they reach memory.
// An element is two bf16 that are neighbours along K. Sums run over K in order, whatever the partition.
#pragma once

#if defined(__AVX512BF16__)

constexpr int TILE = 12;  // with two vectors of columns: as many sums as registers hold
constexpr int PANEL = 2 * LANES;
constexpr int64_t BLOCK_BYTES = 1 << 18;  // of A: stays in the second cache while all panels pass by

template <int M>
static void tile_sums(float* c, const Pair* a, int64_t row, int64_t column, const Pair* b, int64_t depth) {
  Floats sums[M][2] = {};
  for (int64_t k = 0; k < depth; k++) {
    const Words first = load(b + k * PANEL), second = load(b + k * PANEL + LANES);
    for (int m = 0; m < M; m++) {
      const Words factor = broadcast(a[m * row + k * column]);
      sums[m][0] = multiply_add(sums[m][0], factor, first);
      sums[m][1] = multiply_add(sums[m][1], factor, second);
    }
  }
  for (int m = 0; m < M; m++) {
    store(c + m * PANEL, sums[m][0]);
    store(c + m * PANEL + LANES, sums[m][1]);
  }
}

template <int M>
INLINE void tile_of(int64_t rows, float* c, const Pair* a, int64_t row, int64_t column, const Pair* b, int64_t depth) {
  if (rows == M) return tile_sums<M>(c, a, row, column, b, depth);
  if constexpr (M > 1) tile_of<M - 1>(rows, c, a, row, column, b, depth);
}

template <ValueSlope (*FUNCTION)(Floats)>
INLINE void finish_row(const float* sums, const uint16_t* bias, uint16_t* out, uint16_t* slopes, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) {
    const bool whole = i + LANES <= count;
    const int rest = (int)(count - i);
    Floats value = load(sums + i);
    if (bias) value += whole ? load(bias + i) : load(bias + i, rest);
    const ValueSlope result = FUNCTION(value);
    whole ? store(out + i, result.value) : store(out + i, result.value, rest);
    if (slopes) whole ? store(slopes + i, result.slope) : store(slopes + i, result.slope, rest);
  }
}

INLINE ValueSlope identity(Floats x) { return {x, x}; }

static void finish_tile(const Product& p, const float* sums, int64_t row, int64_t rows, int64_t column) {
  const int64_t count = p.columns - column < PANEL ? p.columns - column : PANEL;
  const uint16_t* bias = p.bias ? (const uint16_t*)p.bias + column : nullptr;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t at = (row + r) * p.columns + column;
    uint16_t *out = (uint16_t*)p.out + at, *slopes = p.derivative ? (uint16_t*)p.derivative + at : nullptr;
    const float* from = sums + r * PANEL;
    switch (p.activation) {
      case Activation::identity: finish_row<identity>(from, bias, out, slopes, count); break;
      case Activation::gelu: finish_row<gelu>(from, bias, out, slopes, count); break;
      case Activation::gelu_tanh: finish_row<gelu_tanh>(from, bias, out, slopes, count); break;
      case Activation::relu: finish_row<relu>(from, bias, out, slopes, count); break;
      case Activation::silu: finish_row<silu>(from, bias, out, slopes, count); break;
    }
  }
}

// Rows and panels from `begin` to `end`; row_begin is a multiple of TILE.
static void product_part(const Product& p, int64_t row_begin, int64_t row_end, int64_t panel_begin, int64_t panel_end) {
  const int64_t fitting = BLOCK_BYTES / (int64_t)sizeof(Pair) / p.depth / TILE * TILE, block = fitting < TILE ? TILE : fitting;
  alignas(64) float sums[TILE * PANEL];
  for (int64_t first = row_begin; first < row_end; first += block) {
    const int64_t last = row_end - first < block ? row_end : first + block;
    for (int64_t panel = panel_begin; panel < panel_end; panel++) {
      const Pair* b = (const Pair*)p.panels + panel * PANEL * p.depth;
      for (int64_t row = first; row < last; row += TILE) {
        const int64_t rows = last - row < TILE ? last - row : TILE;
        const Pair* a = (const Pair*)p.a + row / TILE * p.a_tile;
        tile_of<TILE>(rows, sums, a, p.a_row, p.a_column, b, p.depth);
        finish_tile(p, sums, row, rows, panel * PANEL);
      }
    }
  }
}

// What a panel has beyond the columns is zero.
static void pack_transposed(Pair* to, const uint16_t* values, int64_t columns, int64_t depth, int64_t begin, int64_t end) {
  const Pair* from = (const Pair*)values;
  for (int64_t panel = begin; panel < end; panel++)
    for (int64_t half = 0; half < 2; half++) {
      const int64_t first = panel * PANEL + half * LANES;
      for (int64_t k = 0; k < depth; k += LANES) {
        const int count = depth - k < LANES ? (int)(depth - k) : LANES;
        Floats block[LANES];
        for (int l = 0; l < LANES; l++) {
          const Pair* row = from + (first + l) * depth + k;
          if (first + l >= columns) block[l] = Floats{};
          else if (count == LANES) block[l] = (Floats)load(row);
          else block[l] = load((const float*)row, count);
        }
        exchange<1>(block);
        Pair* out = to + (panel * depth + k) * PANEL + half * LANES;
        for (int l = 0; l < count; l++) store(out + l * PANEL, (Words)block[l]);
      }
    }
}

INLINE Words half_row(const uint16_t* at, int count) { return (Words)(count == LANES ? load(at) : load(at, count)); }

// Rows 2k and 2k + 1 of `from` [rows, columns] as pairs, in panels of `WIDTH` columns. A missing last row, and what the last
// panel has beyond the columns, is zero.
template <int64_t WIDTH>
static void pack_rows(Pair* to, const uint16_t* from, int64_t rows, int64_t columns, int64_t begin, int64_t end) {
  const int64_t depth = (rows + 1) / 2;
  for (int64_t panel = begin; panel < end; panel++)
    for (int64_t k = 0; k < depth; k++) {
      Pair* out = to + (panel * depth + k) * WIDTH;
      for (int64_t j = 0; j < WIDTH; j += LANES) {
        const int64_t i = panel * WIDTH + j, left = columns - i;
        const int room = WIDTH - j < LANES ? (int)(WIDTH - j) : LANES, count = left < LANES ? (int)left : LANES;
        Words pairs = {};
        if (left > 0) {
          const uint16_t* at = from + 2 * k * columns + i;
          pairs = half_row(at, count) >> 16;
          if (2 * k + 1 < rows) pairs |= half_row(at + columns, count);
        }
        // A vector that is wider than the rest of a tile runs into the next row, which is written after it.
        if (room == LANES || k + 1 < depth) store(out + j, pairs);
        else store((float*)out + j, (Floats)pairs, room);
      }
    }
}

constexpr ProductKernels PRODUCTS = {TILE, PANEL, product_part, pack_transposed, pack_rows<PANEL>, pack_rows<TILE>};

#else
constexpr ProductKernels PRODUCTS = {};
#endif
