// The three products of a linear layer: x Wᵀ, d W and dᵀ x.
#pragma once
#include "nodes.h"

namespace retune {

// Whether the kernels of this processor take a product whose sizes are these; otherwise libtorch's serves.
bool takes_product(const at::Tensor& like, int64_t m, int64_t n, int64_t k);

// f(x Wᵀ + bias) for x [M, K] and W [N, K]; f' goes into `derivative` where that is defined.
at::Tensor forward_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& derivative, Activation activation);

// d W for d [M, N] and W [N, K].
at::Tensor input_product(const at::Tensor& d, const at::Tensor& weight);

// dᵀ x for d [M, N] and x [M, K].
at::Tensor weight_product(const at::Tensor& d, const at::Tensor& x);

}  // namespace retune
