// Products of pairs of bf16 in the matrix registers of AMX, where the instruction set has them, else in vectors.
#pragma once

#if defined(__AVX512BF16__)

#if defined(__AMX_BF16__)

constexpr int64_t SIDE = 16;  // rows of a register, and elements of four bytes in each

// Configures the registers, of which oneDNN leaves its own configuration, as long as it lives.
struct Tiles {
  Tiles() {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {};
      uint8_t rows[16] = {};
    } shape;
    for (int tile = 0; tile < 8; tile++) shape.bytes[tile] = 4 * SIDE, shape.rows[tile] = SIDE;
    _tile_loadconfig(&shape);
  }
  ~Tiles() { _tile_release(); }
};

// C (+)= A B for DOWN times ACROSS registers of C and a depth of whole registers; A and B as in tile_product.
template <int DOWN, int ACROSS, bool ADD>
INLINE void tile_block(float* c, int64_t ldc, const Pair* a, int64_t row, const Pair* b, int64_t ldb, int64_t depth) {
  float *right = c + SIDE, *below = c + SIDE * ldc, *beyond = below + SIDE;
  const int64_t stride = 4 * ldc;
  if constexpr (ADD) _tile_loadd(0, c, stride); else _tile_zero(0);
  if constexpr (ACROSS > 1) { if constexpr (ADD) _tile_loadd(1, right, stride); else _tile_zero(1); }
  if constexpr (DOWN > 1) { if constexpr (ADD) _tile_loadd(2, below, stride); else _tile_zero(2); }
  if constexpr (DOWN > 1 && ACROSS > 1) { if constexpr (ADD) _tile_loadd(3, beyond, stride); else _tile_zero(3); }
  for (int64_t k = 0; k < depth; k += SIDE) {
    _tile_loadd(4, a + k, 4 * row);
    _tile_loadd(6, b + k * ldb, 4 * ldb);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (ACROSS > 1) {
      _tile_loadd(7, b + k * ldb + SIDE, 4 * ldb);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (DOWN > 1) {
      _tile_loadd(5, a + SIDE * row + k, 4 * row);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (ACROSS > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, stride);
  if constexpr (ACROSS > 1) _tile_stored(1, right, stride);
  if constexpr (DOWN > 1) _tile_stored(2, below, stride);
  if constexpr (DOWN > 1 && ACROSS > 1) _tile_stored(3, beyond, stride);
}

template <int ACROSS, bool ADD>
INLINE void tile_column(float* c, int64_t ldc, const Pair* a, int64_t row, const Pair* b, int64_t ldb, int64_t rows,
                        int64_t depth) {
  int64_t r = 0;
  for (; r + SIDE < rows; r += 2 * SIDE) tile_block<2, ACROSS, ADD>(c + r * ldc, ldc, a + r * row, row, b, ldb, depth);
  if (r < rows) tile_block<1, ACROSS, ADD>(c + r * ldc, ldc, a + r * row, row, b, ldb, depth);
}

// C (+)= A B for A [rows][depth], `row` pairs from one row to the next, and B [depth][columns] of pairs along the depth. Rows are rounded
// up to whole registers: A and C have memory for them, whatever is in it; `columns` is a multiple of LANES.
template <bool ADD = false>
static void tile_product(float* c, int64_t ldc, const Pair* a, int64_t row, const Pair* b, int64_t ldb, int64_t rows,
                         int64_t columns, int64_t depth) {
  const int64_t whole = depth / SIDE * SIDE;
  if (!whole) return product<ADD>(c, ldc, a, row, 1, b, ldb, rows, columns, depth);
  int64_t at = 0;
  for (; at + SIDE < columns; at += 2 * SIDE) tile_column<2, ADD>(c + at, ldc, a, row, b + at, ldb, rows, whole);
  if (at < columns) tile_column<1, ADD>(c + at, ldc, a, row, b + at, ldb, rows, whole);
  if (whole < depth) product<true>(c, ldc, a + whole, row, 1, b + whole * ldb, ldb, rows, columns, depth - whole);
}

// C += Aᵀ B for A [depth][wide]; `turned` has memory for Aᵀ, rows of whole vectors.
INLINE void tile_product_of_columns(float* c, int64_t ldc, const Pair* a, int64_t wide, const Pair* b, int64_t ldb,
                                    int64_t rows, int64_t columns, int64_t depth, Pair* turned) {
  transpose(turned, a, depth, wide);
  tile_product<true>(c, ldc, turned, padded(depth), b, ldb, rows, columns, depth);
}

#else

struct Tiles {
  Tiles() {}  // not trivial, so that it counts as used
};

template <bool ADD = false>
INLINE void tile_product(float* c, int64_t ldc, const Pair* a, int64_t row, const Pair* b, int64_t ldb, int64_t rows,
                         int64_t columns, int64_t depth) {
  product<ADD>(c, ldc, a, row, 1, b, ldb, rows, columns, depth);
}

INLINE void tile_product_of_columns(float* c, int64_t ldc, const Pair* a, int64_t wide, const Pair* b, int64_t ldb,
                                    int64_t rows, int64_t columns, int64_t depth, Pair*) {
  product<true>(c, ldc, a, 1, wide, b, ldb, rows, columns, depth);
}

#endif

#endif
