// The three products of a linear layer: x Wᵀ, d W and dᵀ x, each by our own kernels or by libtorch's.
#pragma once
#include "nodes.h"

namespace retune {

// Whether the kernels of this processor take x Wᵀ for x [M, K] and W [N, K]; otherwise libtorch's serve.
bool takes_product(const at::Tensor& x, const at::Tensor& weight);

// f(x Wᵀ + bias) where they take it; f' goes into `derivative` where that is defined.
at::Tensor forward_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& derivative, Activation activation);

// x Wᵀ.
at::Tensor plain_product(const at::Tensor& x, const at::Tensor& weight);

// d W for d [M, N] and W [N, K].
at::Tensor input_product(const at::Tensor& d, const at::Tensor& weight);

// dᵀ x for d [M, N] and x [M, K].
at::Tensor weight_product(const at::Tensor& d, const at::Tensor& x);

}  // namespace retune
