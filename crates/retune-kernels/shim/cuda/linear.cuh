R"cuda(
// What the backward pass of a linear layer computes besides products: the gradient before the activation and its sums over
// rows, which are the gradient of the bias; `activation_backward` of shim/isa/activation.h, on a GPU.

// Blocks that are done with their part of a tile of columns; 0 between launches.
__device__ unsigned done[RETUNE_TILES];

__device__ void put(float* p, float value) { *p = value; }
__device__ void put(bf16* p, float value) { *p = narrow(value); }

// f' at x; `activation` as in shim/kernels.h.
__device__ float slope(int activation, float x) {
  switch (activation) {
    case 0: return 0.5f * (1.0f + erff(x * 0.707106781f)) + x * 0.398942280f * expf(-0.5f * x * x);
    case 1: {
      const float square = x * x, t = tanhf(0.797884561f * (x + 0.044715f * x * square));
      return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.797884561f * (1.0f + 0.134145f * square);
    }
    case 2: return x <= 0.0f ? 0.0f : 1.0f;
    default: {
      const float s = 1.0f / (1.0f + expf(-x));
      return s * (1.0f + x * (1.0f - s));
    }
  }
}

// d = dy f'(z) where z is not null; `bias`, where wanted, becomes the sums over rows of that, or of dy. Block (x, y) has
// tile x of the columns and some of the rows; the last one of a tile adds up `partial` [gridDim.y, gridDim.x, RETUNE_COLUMNS].
template <class T>
__device__ void activation_backward(const T* __restrict__ dy, const T* __restrict__ z, int activation, long rows,
                                    int width, T* __restrict__ d, float* partial, T* bias) {
  __shared__ float sums[RETUNE_WARPS][RETUNE_COLUMNS];
  __shared__ bool last;
  const int lane = threadIdx.x & 31, warp = threadIdx.x / 32, first = blockIdx.x * RETUNE_COLUMNS;
  const int column = first + lane * 4;
  Four total = {0, 0, 0, 0};
  if (column < width) {
#pragma unroll 4
    for (long r = (long)blockIdx.y * RETUNE_WARPS + warp; r < rows; r += (long)gridDim.y * RETUNE_WARPS) {
      Four g = load(dy + r * width + column);
      if (z) {
        const Four x = load(z + r * width + column);
        for (int k = 0; k < 4; k++) g.v[k] *= slope(activation, x.v[k]);
        store(d + r * width + column, g);
      }
      for (int k = 0; k < 4; k++) total.v[k] += g.v[k];
    }
  }
  if (!bias) return;
  store(&sums[warp][lane * 4], total);
  __syncthreads();
  const int own = threadIdx.x % RETUNE_COLUMNS, half = threadIdx.x / RETUNE_COLUMNS;
  if (!half) {
    float sum = 0;
    for (int w = 0; w < RETUNE_WARPS; w++) sum += sums[w][own];
    partial[((long)blockIdx.y * gridDim.x + blockIdx.x) * RETUNE_COLUMNS + own] = sum;
    __threadfence();
  }
  __syncthreads();
  if (!threadIdx.x) last = atomicAdd(&done[blockIdx.x], 1u) + 1 == gridDim.y;
  __syncthreads();
  if (!last) return;
  __threadfence();
  float sum = 0;
#pragma unroll 8
  for (int y = half; y < gridDim.y; y += 2) sum += __ldcg(partial + ((long)y * gridDim.x + blockIdx.x) * RETUNE_COLUMNS + own);
  sums[half][own] = sum;
  __syncthreads();
  if (!half && first + own < width) put(bias + first + own, sums[0][own] + sums[1][own]);
  if (!threadIdx.x) done[blockIdx.x] = 0;
}

#define ACTIVATION_BACKWARD(name, T)                                                                                 \
  extern "C" __global__ void name(const T* dy, const T* z, int activation, long rows, int width, T* d, float* partial, \
                                  T* bias) {                                                                         \
    activation_backward<T>(dy, z, activation, rows, width, d, partial, bias);                                        \
  }
ACTIVATION_BACKWARD(activation_backward_float, float)
ACTIVATION_BACKWARD(activation_backward_bf16, bf16)
)cuda"
