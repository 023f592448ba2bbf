// The vectorised loops, one table per instruction set; `kernels()` picks the best one of this processor.
// D row width, T tokens, Q queries, K head size, E embedding size. bf16 is uint16_t. Rows are contiguous unless a stride is given.
#pragma once
#include <stdint.h>

namespace retune {

// Dropout keyed by `seed`; keeps everything when p is 0.
struct DropoutKey {
  double p;
  int64_t seed;
};

enum class Activation : int64_t { identity = -1, gelu = 0, gelu_tanh = 1, relu = 2, silu = 3 };

// Which side of the norm dropout is on.
enum class NormKind : int64_t { drop_add_norm = 0, norm_drop = 1 };

struct NormForward {
  NormKind kind;
  int64_t width;
  const void *x, *residual;  // residual only for drop_add_norm, may be null
  const float *weight, *bias;
  double epsilon;
  DropoutKey dropout;
  void *y, *normalised;  // normalised and rstd are for the backward pass; null without one
  float* rstd;
};

struct NormBackward {
  NormKind kind;
  int64_t width;
  const void *dy, *normalised;
  const float *weight, *rstd;
  DropoutKey dropout;
  void *dx, *dresidual;     // either may be null
  float *dweight, *dbias;   // partial sums of these rows, zeroed by the caller; both or none
};

struct RmsNorm {
  int64_t width;
  bool wide;  // whether x and dx are fp32, whatever y and dy are
  const void* x;
  const float* weight;
  float epsilon, offset;  // the factor is offset + weight
  void* y;
  float* rstd;  // null without a backward pass
};

// y = f(gate) up of rows of `width`.
struct Gate {
  int64_t width, stride;  // elements from one row of gate and up, and of their gradients, to the next
  const void *gate, *up;
  void *y, *dgate, *dup;
  Activation activation;
};

// Of heads whose first 2 `half` dimensions turn.
struct Rotation {
  int64_t tokens, heads, head_size, half;
  int64_t batch_stride, token_stride, head_stride;  // of `in`, in elements; `out` is contiguous
  int64_t angles;                                   // rows of cos and sin [angles, half]: B T, or T for all of a batch
  const float *cos, *sin;
  float direction;  // 1, or -1 to turn back
  const void* in;
  void* out;
};

// Of rows of scores [N, V], of which each has a target or, below 0, none.
struct CrossEntropy {
  int64_t width;
  void* scores;  // with `gradient`, that of the summed smoothed losses stands here afterwards
  const float* bias;  // [V], added to the scores; may be null
  const int64_t* targets;
  float smoothing;
  bool gradient;
  float *smoothed, *plain;  // [N], with and without label smoothing
  bool* correct;            // [N]
};

struct Attention {
  int64_t queries, tokens, heads, groups, head_size;  // of the G groups of heads each has keys and values of its own
  int64_t query_stride, stride;     // elements from one row of the queries, or of keys and values, to the next
  const void *query, *key, *value;  // [B, Q, H*K], and [B, T, G*K] twice
  const uint8_t* allowed;           // [B, T] or null
  const int32_t* bounds;            // [R, Q, 2] or null: the first key that a query sees and the one behind the last
  int64_t bounded_rows;             // R, which divides B
  float scale;
  DropoutKey dropout;
  float* statistics;  // [B, H, Q, 2]: row maximum and reciprocal sum; null without a backward pass
};

struct EmbeddingForward {
  int64_t width, tokens_per_row;
  const int64_t *ids, *types, *positions;  // types and positions may be null: type 0, position = index in the row
  const int64_t* row_map;  // [V] or null: id to row of `word`, -1 for a row of `rest`
  const float *word, *rest, *position, *type, *weight, *bias;
  double epsilon;
  DropoutKey dropout;
  void *y, *normalised;
  float* rstd;
};

// C [rows, columns] = f(A B + bias), and f' there. Elements of A and of the packed B have four bytes: a float, or two bf16
// that are neighbours along the depth.
struct Product {
  int64_t rows, columns, depth;  // depth in elements
  int64_t a_stride;              // elements from one row of A to the next
  const void *a, *bias;          // bias may be null
  void *out, *derivative;        // derivative may be null
  Activation activation = Activation::identity;
};

// Memory that the next panel is packed from: rows of some bytes.
struct Ahead {
  const char* from;
  int64_t rows, bytes, stride;  // in bytes from one row to the next
};

// How products are cut, and the loops over their parts; all null where libtorch's products serve.
struct ProductKernels {
  int64_t values;              // in an element
  int64_t tile, panel, block;  // rows of a tile, columns of a panel, columns that are transposed at once
  // Rows from `begin` to `end` times one panel `b`; fetches `ahead` meanwhile.
  void (*compute)(const Product&, const Ahead& ahead, const void* b, int64_t begin, int64_t end, int64_t panel);
  // A panel of B = fromᵀ for `from` [columns, depth], depth in elements.
  void (*pack_transposed)(void* to, const void* from, int64_t columns, int64_t depth, int64_t panel);
  // A panel of B = `from` [rows, columns], in values.
  void (*pack_panel)(void* to, const void* from, int64_t rows, int64_t columns, int64_t panel);
  // Rows of A = fromᵀ for `from` [rows, columns], in values: those of one block of columns.
  void (*transpose)(void* to, int64_t stride, const void* from, int64_t rows, int64_t columns, int64_t block);
};

template <class T>
struct TypedKernels {
  void (*norm_forward)(const NormForward&, int64_t begin, int64_t end);
  void (*norm_backward)(const NormBackward&, int64_t begin, int64_t end);
  void (*rms_norm_forward)(const RmsNorm&, int64_t begin, int64_t end);
  // dx may be null; dweight, sums of these rows that the caller zeroed, too
  void (*rms_norm_backward)(const RmsNorm&, const T* dy, void* dx, float* dweight, int64_t begin, int64_t end);
  // Forward where dy is null, backward otherwise.
  void (*gated)(const Gate&, const T* dy, int64_t begin, int64_t end);
  // Rows are (batch, token) pairs.
  void (*rotate)(const Rotation&, int64_t begin, int64_t end);
  void (*cross_entropy)(const CrossEntropy&, int64_t begin, int64_t end);
  // x[row] += bias
  void (*add_bias)(T* x, const T* bias, int64_t width, int64_t begin, int64_t end);
  // x[row] = f(x[row] + bias); derivative = f' there, unless null. bias may be null.
  void (*bias_activation)(T* x, const T* bias, T* derivative, int64_t width, int64_t begin, int64_t end, Activation);
  // out = dy * derivative, and its column sums are added to `sums` unless null. Without derivative only the sums.
  void (*activation_backward)(const T* dy, const T* derivative, T* out, float* sums, int64_t width, int64_t begin,
                              int64_t end);
  // Tasks are (batch, group) pairs; `scratch` holds attention_scratch floats.
  void (*attention_forward)(const Attention&, T* out, int64_t task, float* scratch);
  void (*attention_backward)(const Attention&, const T* dout, T* dquery, T* dkey, T* dvalue, int64_t task,
                             float* scratch);
  void (*embedding_forward)(const EmbeddingForward&, int64_t begin, int64_t end);
  // norm_backward whose dx is fp32, to be summed into the tables
  void (*embedding_backward)(const NormBackward&, int64_t begin, int64_t end);
  ProductKernels product;
};

struct Kernels {
  const char* name;
  TypedKernels<float> fp32;
  TypedKernels<uint16_t> bf16;
  int64_t (*attention_scratch)(int64_t tokens, int64_t head_size, bool backward);

  const TypedKernels<float>& of(float) const { return fp32; }
  const TypedKernels<uint16_t>& of(uint16_t) const { return bf16; }
};

const Kernels& kernels();

// What matrix registers do better.
struct TiledAttention {
  void (*forward)(const Attention&, uint16_t* out, int64_t task, float* scratch);
  void (*backward)(const Attention&, const uint16_t* dout, uint16_t* dquery, uint16_t* dkey, uint16_t* dvalue, int64_t task,
                   float* scratch);
  int64_t (*scratch)(int64_t tokens, int64_t head_size, bool backward);
};

// Whether this processor has matrix registers for bf16 (AMX), and the system lets this process use them.
bool has_tiles();

}  // namespace retune
