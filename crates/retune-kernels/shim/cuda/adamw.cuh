R"cuda(
// AdamW over a list of tensors, with clipping: what shim/adamw.cpp does, on a GPU. Tensors are cut into pieces, a block
// each; sums are added up in a fixed order.

struct Row {
  float* master;
  const void* gradient;
  float *first, *second;
  bf16* copy;  // what the forward pass reads, or null where that is the master
  long count;
  float step_size, keep;  // as in shim/adamw.h
  int rounded;            // whether the gradient is bf16
  int first_piece;
};

struct Piece {
  int row, number;
};

__device__ float gradient_at(const Row& row, long i) {
  return row.rounded ? widen(((const bf16*)row.gradient)[i]) : ((const float*)row.gradient)[i];
}

// The sum over the block of what each warp has, in its first thread.
__device__ double block_sum(double of_warp) {
  __shared__ double sums[32];
  if (!(threadIdx.x & 31)) sums[threadIdx.x / 32] = of_warp;
  __syncthreads();
  double total = 0;
  if (!threadIdx.x)
    for (int w = 0; w < blockDim.x / 32; w++) total += sums[w];
  return total;
}

__device__ long piece_begin(const Piece& piece) { return (long)piece.number * RETUNE_PIECE; }

__device__ long piece_end(const Piece& piece, const Row& row) {
  const long end = piece_begin(piece) + RETUNE_PIECE;
  return end < row.count ? end : row.count;
}

// The sum of squares of the gradients of each piece.
extern "C" __global__ void gradient_squares(const Row* rows, const Piece* pieces, double* squares) {
  const Piece piece = pieces[blockIdx.x];
  const Row row = rows[piece.row];
  const long end = piece_end(piece, row);
  float square = 0;
#pragma unroll 4
  for (long i = piece_begin(piece) + threadIdx.x; i < end; i += blockDim.x) {
    const float g = gradient_at(row, i);
    square += g * g;
  }
  const double total = block_sum(warp_sum((double)square));
  if (!threadIdx.x) squares[blockIdx.x] = total;
}

// The norm of each gradient times `scale`, and what a step multiplies gradients by: not a number where one is not finite.
extern "C" __global__ void gradient_norms(const Row* rows, int count, const double* squares, const double* scale,
                                          double clip, double* norms, float* factor) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  double total = 0;
  for (int t = warp; t < count; t += warps) {
    const long pieces = (rows[t].count + RETUNE_PIECE - 1) / RETUNE_PIECE;
    double square = 0;
    for (long p = lane; p < pieces; p += 32) square += squares[rows[t].first_piece + p];
    const double norm = sqrt(warp_sum(square)) * *scale;
    if (!lane) norms[t] = norm;
    total += norm * norm;
  }
  const double norm = sqrt(block_sum(total));
  if (threadIdx.x) return;
  // torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm.
  const double clipped = clip > 0 ? fmin(clip / (norm + 1e-6), 1.0) : 1.0;
  *factor = isfinite(norm) ? (float)(clipped * *scale) : __uint_as_float(0x7fc00000u);
}

extern "C" __global__ void adamw(const Row* rows, const Piece* pieces, const float* factor, float correction2_sqrt,
                                 float beta1, float beta2, float epsilon) {
  const float scale = *factor;
  if (!isfinite(scale)) return;
  const Piece piece = pieces[blockIdx.x];
  const Row row = rows[piece.row];
  const long end = piece_end(piece, row);
#pragma unroll 4
  for (long i = piece_begin(piece) + threadIdx.x; i < end; i += blockDim.x) {
    const float g = gradient_at(row, i) * scale;
    const float first = beta1 * row.first[i] + (1.0f - beta1) * g;
    const float second = beta2 * row.second[i] + (1.0f - beta2) * g * g;
    const float w = row.master[i] * row.keep - row.step_size * first / (sqrtf(second) / correction2_sqrt + epsilon);
    row.first[i] = first;
    row.second[i] = second;
    row.master[i] = w;
    if (row.copy) row.copy[i] = narrow(w);
  }
}
)cuda"
