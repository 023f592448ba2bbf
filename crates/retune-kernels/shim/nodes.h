// What the autograd nodes share: dispatch by storage type, rows in chunks of fixed size, sums in a fixed order.
#pragma once
#include "kernels.h"
#include "shim.h"
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <optional>
#include <vector>

namespace retune {

using Context = torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t CHUNK_ROWS = 32;  // fixed, so that sums do not depend on the number of threads

// Calls body(T()) with the type that holds one element.
template <class Body>
void with_type(const at::Tensor& tensor, Body body) {
  if (tensor.scalar_type() == at::kFloat) return body(float());
  TORCH_CHECK(tensor.scalar_type() == at::kBFloat16, "fused kernels take fp32 and bf16, not ", tensor.scalar_type());
  body(uint16_t());
}

template <class T>
T* pointer(const at::Tensor& tensor) {
  return tensor.defined() ? (T*)tensor.data_ptr() : nullptr;
}

inline void* address(const at::Tensor& tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

inline bool wants_graph(std::initializer_list<const at::Tensor*> tensors) {
  if (!at::GradMode::is_enabled()) return false;
  for (const at::Tensor* tensor : tensors)
    if (tensor && tensor->requires_grad()) return true;
  return false;
}

// How a node takes a tensor that may be missing. A missing one is no edge of the graph, so such arguments come last.
using MaybeTensor = std::optional<at::Tensor>;

inline MaybeTensor maybe(const at::Tensor* tensor) { return tensor ? MaybeTensor(*tensor) : std::nullopt; }

inline at::Tensor contiguous(const MaybeTensor& tensor) { return tensor ? tensor->contiguous() : at::Tensor(); }

// How many of `width` cover `size`.
inline int64_t parts(int64_t size, int64_t width) { return (size + width - 1) / width; }

template <class Body>
void over_rows(int64_t rows, Body body) {
  at::parallel_for(0, rows, CHUNK_ROWS, body);
}

// body(begin, end, sums) adds the rows' contributions to `width` zeroed fp32 sums; returns the total as `options`.
template <class Body>
at::Tensor sum_over_rows(int64_t rows, int64_t width, const at::TensorOptions& options, Body body) {
  const int64_t chunks = parts(rows, CHUNK_ROWS);
  std::vector<float> partial(chunks * width);
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; chunk++)
      body(chunk * CHUNK_ROWS, std::min(rows, (chunk + 1) * CHUNK_ROWS), partial.data() + chunk * width);
  });
  at::Tensor total = at::zeros({width}, at::kFloat);
  float* sums = total.data_ptr<float>();
  for (int64_t chunk = 0; chunk < chunks; chunk++)
    for (int64_t i = 0; i < width; i++) sums[i] += partial[chunk * width + i];
  return total.to(options);
}

// Memory of this thread that begins a cache line; what it holds is undefined.
float* thread_scratch(int64_t floats);

}  // namespace retune
