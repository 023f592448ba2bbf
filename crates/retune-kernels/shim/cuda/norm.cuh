R"cuda(
// Layer normalisation (Ba et al. 2016) of rows with dropout before or after it: what shim/isa/norm.h does, on a GPU.
// A warp computes a row, whose sums stay with the lanes that read it; statistics and sums are fp32.

struct Drop {
  unsigned low, high, threshold;
  float scale;
};

// `reference_keep` of src/dropout.rs.
__device__ float dropped(float value, unsigned index, const Drop& d) {
  unsigned x = index + d.low;
  x ^= x >> 16;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0xd35a2d97u;
  x ^= x >> 15;
  x ^= d.high;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0xd35a2d97u;
  x ^= x >> 15;
  return x >= d.threshold ? value * d.scale : 0.0f;
}

__device__ void drop(Four& a, long index, const Drop& d) {
  if (!d.threshold) return;
  for (int k = 0; k < 4; k++) a.v[k] = dropped(a.v[k], (unsigned)index + k, d);
}

// Which lane holds what: columns from this one, four at a time.
#define COLUMNS(i) for (int i = (threadIdx.x & 31) * 4; i < width; i += 128)

template <class T>
__device__ void forward(const T* x, const T* residual, const float* weight, const float* bias, float epsilon, long rows,
                        int width, Drop before, Drop after, T* y, T* normalised, float* rstds) {
  extern __shared__ float scratch[];
  const int warp = threadIdx.x / 32;
  const long r = (long)blockIdx.x * (blockDim.x / 32) + warp;
  if (r >= rows) return;
  float* row = scratch + (long)warp * width;
  const long offset = r * width;
  float total = 0;
  COLUMNS(i) {
    Four a = load(x + offset + i);
    drop(a, offset + i, before);
    if (residual) {
      const Four b = load(residual + offset + i);
      for (int k = 0; k < 4; k++) a.v[k] += b.v[k];
    }
    for (int k = 0; k < 4; k++) total += a.v[k];
    store(row + i, a);
  }
  const float mean = warp_sum(total) / width;
  float squares = 0;
  COLUMNS(i) {
    Four a = load(row + i);
    for (int k = 0; k < 4; k++) {
      a.v[k] -= mean;
      squares += a.v[k] * a.v[k];
    }
    store(row + i, a);
  }
  const float rstd = 1.0f / sqrtf(warp_sum(squares) / width + epsilon);
  if (rstds && (threadIdx.x & 31) == 0) rstds[r] = rstd;
  COLUMNS(i) {
    Four a = load(row + i);
    const Four w = load(weight + i), b = load(bias + i);
    for (int k = 0; k < 4; k++) a.v[k] *= rstd;
    if (normalised) store(normalised + offset + i, a);
    for (int k = 0; k < 4; k++) a.v[k] = a.v[k] * w.v[k] + b.v[k];
    drop(a, offset + i, after);
    store(y + offset + i, a);
  }
}

// Gradient of the norm's input: rstd (g - mean(g) - normalised mean(g normalised)) with g = dy weight. `sums`, where
// wanted, gets of each block the gradients of weight [gridDim.x, width], and after all of them those of the bias.
template <class T>
__device__ void backward(const T* dy, const T* normalised, const float* weight, const float* rstds, long rows, int width,
                         Drop before, Drop after, T* dx, T* dresidual, float* sums) {
  extern __shared__ float scratch[];
  const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
  float* row = scratch + (long)warp * width;
  float* of_weight = scratch + (long)warps * width + (long)warp * 2 * width;
  float* of_bias = of_weight + width;
  if (sums) COLUMNS(i) {
    store(of_weight + i, {0, 0, 0, 0});
    store(of_bias + i, {0, 0, 0, 0});
  }
  for (long r = (long)blockIdx.x * warps + warp; r < rows; r += (long)gridDim.x * warps) {
    const long offset = r * width;
    float total = 0, projection = 0;
    COLUMNS(i) {
      Four d = load(dy + offset + i);
      drop(d, offset + i, after);
      const Four hat = load(normalised + offset + i), w = load(weight + i);
      if (sums) {
        Four a = load(of_weight + i), b = load(of_bias + i);
        for (int k = 0; k < 4; k++) {
          a.v[k] += d.v[k] * hat.v[k];
          b.v[k] += d.v[k];
        }
        store(of_weight + i, a);
        store(of_bias + i, b);
      }
      for (int k = 0; k < 4; k++) {
        d.v[k] *= w.v[k];
        total += d.v[k];
        projection += d.v[k] * hat.v[k];
      }
      store(row + i, d);
    }
    if (!dx && !dresidual) continue;
    const float mean = warp_sum(total) / width, slope = warp_sum(projection) / width, rstd = rstds[r];
    COLUMNS(i) {
      Four g = load(row + i);
      const Four hat = load(normalised + offset + i);
      for (int k = 0; k < 4; k++) g.v[k] = (g.v[k] - mean - hat.v[k] * slope) * rstd;
      if (dresidual) store(dresidual + offset + i, g);
      if (dx) {
        drop(g, offset + i, before);
        store(dx + offset + i, g);
      }
    }
  }
  if (!sums) return;
  __syncthreads();
  float* all = scratch + (long)warps * width;
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    float a = 0, b = 0;
    for (int w = 0; w < warps; w++) {
      a += all[(long)w * 2 * width + i];
      b += all[(long)w * 2 * width + width + i];
    }
    sums[(long)blockIdx.x * width + i] = a;
    sums[((long)gridDim.x + blockIdx.x) * width + i] = b;
  }
}

#define FORWARD(name, T)                                                                                             \
  extern "C" __global__ void name(const T* x, const T* residual, const float* weight, const float* bias,             \
                                  float epsilon, long rows, int width, Drop before, Drop after, T* y, T* normalised, \
                                  float* rstds) {                                                                    \
    forward<T>(x, residual, weight, bias, epsilon, rows, width, before, after, y, normalised, rstds);                \
  }
#define BACKWARD(name, T)                                                                                            \
  extern "C" __global__ void name(const T* dy, const T* normalised, const float* weight, const float* rstds,         \
                                  long rows, int width, Drop before, Drop after, T* dx, T* dresidual, float* sums) { \
    backward<T>(dy, normalised, weight, rstds, rows, width, before, after, dx, dresidual, sums);                     \
  }
FORWARD(norm_forward_float, float)
FORWARD(norm_forward_bf16, bf16)
BACKWARD(norm_backward_float, float)
BACKWARD(norm_backward_bf16, bf16)
)cuda"
