// Gradient norm, and AdamW over a list of tensors in one pass each. Reference: `reference_step` in src/optimizer.rs.
#include "adamw.h"
#include "cuda.h"
#include "shim.h"
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <algorithm>
#include <cstring>
#include <vector>

namespace {

constexpr int64_t CHUNK = 1 << 14;  // fixed, so that sums do not depend on the number of threads

inline float from_bfloat16(uint16_t value) {
  uint32_t bits = (uint32_t)value << 16;
  float result;
  __builtin_memcpy(&result, &bits, 4);
  return result;
}

inline uint16_t to_bfloat16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x40u;
  return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

RETUNE_CLONES double squares_float(const float* values, int64_t count) {
  float lanes[64] = {0};
  int64_t i = 0;
  double total = 0;
  for (; i + 64 <= count; i += 64)
    for (int lane = 0; lane < 64; lane++) lanes[lane] += values[i + lane] * values[i + lane];
  for (int lane = 0; lane < 64; lane++) total += lanes[lane];
  for (; i < count; i++) total += (double)values[i] * values[i];
  return total;
}

RETUNE_CLONES double squares_bfloat16(const uint16_t* values, int64_t count) {
  float lanes[64] = {0};
  int64_t i = 0;
  double total = 0;
  for (; i + 64 <= count; i += 64)
    for (int lane = 0; lane < 64; lane++) {
      float value = from_bfloat16(values[i + lane]);
      lanes[lane] += value * value;
    }
  for (int lane = 0; lane < 64; lane++) total += lanes[lane];
  for (; i < count; i++) {
    double value = from_bfloat16(values[i]);
    total += value * value;
  }
  return total;
}

RETUNE_CLONES void update_float(float* w, const float* g, float* m, float* v, int64_t count, AdamWStep s) {
  for (int64_t i = 0; i < count; i++) adamw_element(w[i], g[i], m[i], v[i], s);
}

inline float from_gradient(float value) { return value; }
inline float from_gradient(uint16_t value) { return from_bfloat16(value); }

// `w` bf16 and `rest`, what it lacks of the exact value: the two halves of src/halves.rs.
template <class G>
inline __attribute__((always_inline)) void update_halves(uint16_t* w, int16_t* rest, const G* g, float* m, float* v,
                                                         int64_t count, AdamWStep s) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits = ((uint32_t)w[i] << 16) + (uint32_t)(int32_t)rest[i];
    float exact;
    __builtin_memcpy(&exact, &bits, 4);
    adamw_element(exact, from_gradient(g[i]), m[i], v[i], s);
    __builtin_memcpy(&bits, &exact, 4);
    const uint16_t rounded = to_bfloat16(exact);
    const int32_t apart = (int32_t)(bits - ((uint32_t)rounded << 16));
    w[i] = rounded;
    rest[i] = (int16_t)(apart > 0x7fff ? 0x7fff : apart);
  }
}

RETUNE_CLONES void update_halves_float(uint16_t* w, int16_t* rest, const float* g, float* m, float* v, int64_t count,
                                       AdamWStep s) {
  update_halves(w, rest, g, m, v, count, s);
}

RETUNE_CLONES void update_halves_bfloat16(uint16_t* w, int16_t* rest, const uint16_t* g, float* m, float* v,
                                          int64_t count, AdamWStep s) {
  update_halves(w, rest, g, m, v, count, s);
}

void check(const at::Tensor& tensor, at::Device device = at::kCPU) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device() == device, "optimizer tensors must be contiguous, on ", device);
}

struct Chunk {
  int64_t tensor, offset, length;
};

// All tensors cut into pieces, so that one parallel region serves them all.
std::vector<Chunk> chunks_of(const at::Tensor* const* tensors, int64_t count) {
  std::vector<Chunk> chunks;
  for (int64_t t = 0; t < count; t++) {
    check(*tensors[t]);
    const int64_t size = tensors[t]->numel();
    for (int64_t offset = 0; offset < size; offset += CHUNK)
      chunks.push_back({t, offset, std::min(CHUNK, size - offset)});
  }
  return chunks;
}

// `Row` and `Piece` of shim/cuda/adamw.cuh.
struct DeviceRow {
  void *master, *gradient, *first, *second, *copy;
  int64_t count;
  float step_size, keep;
  int32_t rounded, first_piece;
};

struct DevicePiece {
  int32_t row, number;
};

}  // namespace

extern "C" {

// Sum of squares per tensor, in double. A sum that is not finite marks the tensor as bad.
int retune_squared_norms(const at::Tensor* const* gradients, int64_t count, double* squares) {
  RETUNE_TRY({
    const std::vector<Chunk> chunks = chunks_of(gradients, count);
    std::vector<double> partial(chunks.size());
    at::parallel_for(0, (int64_t)chunks.size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; c++) {
        const Chunk& chunk = chunks[c];
        const at::Tensor& gradient = *gradients[chunk.tensor];
        partial[c] = gradient.scalar_type() == at::kFloat
                         ? squares_float(gradient.data_ptr<float>() + chunk.offset, chunk.length)
                         : squares_bfloat16((const uint16_t*)gradient.data_ptr() + chunk.offset, chunk.length);
      }
    });
    std::fill_n(squares, count, 0.0);
    for (size_t c = 0; c < chunks.size(); c++) squares[chunks[c].tensor] += partial[c];
  })
}

// One AdamW step of every tensor, each with its settings.
// `copies[t]` is the bf16 tensor the forward pass reads, and `masters[t]` what that lacks, int16; or it is null, and `masters[t]` is
// fp32 and read itself.
int retune_adamw(at::Tensor* const* masters, const at::Tensor* const* gradients, at::Tensor* const* firsts,
                 at::Tensor* const* seconds, at::Tensor* const* copies, const AdamWStep* steps, int64_t count) {
  RETUNE_TRY({
    at::AutoGradMode guard(false);
    for (int64_t t = 0; t < count; t++) {
      check(*masters[t]), check(*firsts[t]), check(*seconds[t]);
      if (copies[t]) check(*copies[t]);
      TORCH_CHECK(copies[t] || gradients[t]->scalar_type() == at::kFloat, "rounded gradients without a rounded copy");
      TORCH_CHECK(masters[t]->scalar_type() == (copies[t] ? at::kShort : at::kFloat), "no master: ",
                  masters[t]->scalar_type());
    }
    const std::vector<Chunk> chunks = chunks_of(gradients, count);
    at::parallel_for(0, (int64_t)chunks.size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; c++) {
        const auto [t, offset, length] = chunks[c];
        float *m = firsts[t]->data_ptr<float>() + offset, *v = seconds[t]->data_ptr<float>() + offset;
        if (!copies[t]) {
          update_float(masters[t]->data_ptr<float>() + offset, gradients[t]->data_ptr<float>() + offset, m, v, length,
                       steps[t]);
          continue;
        }
        uint16_t* w = (uint16_t*)copies[t]->data_ptr() + offset;
        int16_t* rest = masters[t]->data_ptr<int16_t>() + offset;
        if (gradients[t]->scalar_type() != at::kFloat)
          update_halves_bfloat16(w, rest, (const uint16_t*)gradients[t]->data_ptr() + offset, m, v, length, steps[t]);
        else  // of several micro-steps, summed
          update_halves_float(w, rest, gradients[t]->data_ptr<float>() + offset, m, v, length, steps[t]);
      }
    });
  })
}

// The same on a GPU, in three launches and without waiting: the factor that clips, and whether all is finite, stay there.
// Gradients are multiplied by the scalar `scale` and clipped to the norm `clip` unless that is 0, whatever `steps` say of it.
// Where a gradient is not finite, nothing changes. `norms` becomes the norm of each scaled gradient, fp64 [count].
int retune_adamw_device(at::Tensor** norms, at::Tensor* const* masters, const at::Tensor* const* gradients,
                        at::Tensor* const* firsts, at::Tensor* const* seconds, at::Tensor* const* copies,
                        const AdamWStep* steps, int64_t count, const at::Tensor* scale, double clip) {
  RETUNE_TRY({
    TORCH_CHECK(count > 0, "no tensor has a gradient");
    const at::Device device = masters[0]->device();
    const auto pointer_of = [&](const at::Tensor& tensor, std::initializer_list<at::ScalarType> types) {
      check(tensor, device);
      TORCH_CHECK(std::count(types.begin(), types.end(), tensor.scalar_type()), "the optimizer takes fp32 and bf16, not ",
                  tensor.scalar_type());
      return tensor.data_ptr();
    };
    std::vector<DeviceRow> rows;
    std::vector<DevicePiece> pieces;
    for (int64_t t = 0; t < count; t++) {
      const int64_t size = masters[t]->numel();
      rows.push_back({pointer_of(*masters[t], {at::kFloat}), pointer_of(*gradients[t], {at::kFloat, at::kBFloat16}),
                      pointer_of(*firsts[t], {at::kFloat}), pointer_of(*seconds[t], {at::kFloat}),
                      copies[t] ? pointer_of(*copies[t], {at::kBFloat16}) : nullptr, size, steps[t].step_size,
                      steps[t].keep, gradients[t]->scalar_type() != at::kFloat, (int32_t)pieces.size()});
      for (int64_t i = 0; i * RETUNE_PIECE < size; i++) pieces.push_back({(int32_t)t, (int32_t)i});
    }
    const int64_t row_bytes = count * sizeof(DeviceRow), piece_bytes = pieces.size() * sizeof(DevicePiece);
    const at::Tensor listed =
        at::empty({row_bytes + piece_bytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(true));
    std::memcpy(listed.data_ptr(), rows.data(), row_bytes);
    std::memcpy((char*)listed.data_ptr() + row_bytes, pieces.data(), piece_bytes);
    const at::Tensor table = listed.to(device, /*non_blocking=*/true);
    const auto numbers = at::TensorOptions().device(device).dtype(at::kDouble);
    const at::Tensor squares = at::empty({(int64_t)pieces.size()}, numbers), result = at::empty({count}, numbers);
    const at::Tensor factor = at::empty({}, numbers.dtype(at::kFloat)), given = scale->to(device, at::kDouble);
    void *row = table.data_ptr(), *piece = (char*)row + row_bytes, *square = squares.data_ptr(),
         *norm = result.data_ptr(), *multiplier = factor.data_ptr(), *scaling = given.data_ptr();
    int tensors = (int)count;
    AdamWStep common = steps[0];
    const int64_t blocks = pieces.size();
    using namespace retune::cuda;
    void* of_squares[] = {&row, &piece, &square};
    if (blocks) launch("gradient_squares", device, {blocks, 512, 0}, of_squares);
    void* of_norms[] = {&row, &tensors, &square, &scaling, &clip, &norm, &multiplier};
    launch("gradient_norms", device, {1, 1024, 0}, of_norms);
    void* of_step[] = {&row,          &piece,        &multiplier,    &common.correction2_sqrt,
                       &common.beta1, &common.beta2, &common.epsilon};
    if (blocks) launch("adamw", device, {blocks, 512, 0}, of_step);
    *norms = new at::Tensor(result);
  })
}
}
