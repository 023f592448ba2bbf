// Products of whole layers over the loops of isa/product.h. Reference: libtorch's `mm`.
#include "product.h"
#include <atomic>
#if defined(RETUNE_X86)
#include <cpuid.h>
#endif

namespace retune {
namespace {

constexpr int64_t SMALLEST = 32;  // of each size: below, packing costs more than it saves
constexpr int64_t UNITS = 2;      // of work, that there are at least for each thread
constexpr int64_t TILES = 4;      // that a unit has at least

int64_t parts(int64_t size, int64_t width) { return (size + width - 1) / width; }

const ProductKernels& kernels_for(const at::Tensor& like) {
  return like.scalar_type() == at::kFloat ? kernels().fp32.product : kernels().bf16.product;
}

// Processors with matrix registers, which oneDNN uses for bf16 and these loops do not.
bool has_amx() {
#if defined(RETUNE_X86)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);  // AMX-BF16
#else
  return false;
#endif
}

// A B for B whose panels pack(to, panel) makes; `p` says everything else. Threads take panels as they become free.
template <class Pack>
at::Tensor compute(Product p, const at::Tensor& like, Pack pack) {
  const ProductKernels& kernel = kernels_for(like);
  const int64_t threads = at::get_num_threads(), tiles = parts(p.rows, kernel.tile), panels = parts(p.columns, kernel.panel);
  const at::Tensor out = at::empty({p.rows, p.columns}, like.options());
  p.out = out.data_ptr();
  const int64_t down = std::clamp<int64_t>(parts(UNITS * threads, panels), 1, parts(tiles, TILES));
  std::atomic<int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    float* panel = thread_scratch(kernel.panel * p.depth);
    for (int64_t unit; (unit = next++) < panels * down;) {
      const int64_t column = unit / down, part = unit % down;
      pack(panel, column);
      kernel.compute(p, panel, tiles * part / down * kernel.tile,
                     std::min(p.rows, tiles * (part + 1) / down * kernel.tile), column);
    }
  });
  return out;
}

// x [M, K] times what pack(to, panel) makes panels of; `p` says everything else.
template <class Pack>
at::Tensor times_packed(const at::Tensor& x, Product p, Pack pack) {
  p.rows = x.size(0), p.a = x.data_ptr(), p.a_stride = p.depth = x.size(1) / kernels_for(x).values;
  return compute(p, x, pack);
}

Product of_columns(int64_t columns, Activation activation = Activation::identity) {
  Product p{};
  p.columns = columns, p.activation = activation;
  return p;
}

}  // namespace

bool takes_product(const at::Tensor& like, int64_t m, int64_t n, int64_t k) {
  static const bool amx = has_amx();
  const ProductKernels& kernel = kernels_for(like);
  const bool better = kernel.compute && !(amx && like.scalar_type() == at::kBFloat16);
  return better && n % kernel.values == 0 && k % kernel.values == 0 && std::min({m, n, k}) >= SMALLEST;
}

at::Tensor forward_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& derivative, Activation activation) {
  const ProductKernels& kernel = kernels_for(x);
  Product p = of_columns(weight.size(0), activation);
  p.bias = address(bias), p.derivative = address(derivative);
  return times_packed(x, p, [&](void* to, int64_t panel) {
    kernel.pack_transposed(to, address(weight), weight.size(0), weight.size(1) / kernel.values, panel);
  });
}

at::Tensor input_product(const at::Tensor& d, const at::Tensor& weight) {
  return times_packed(d, of_columns(weight.size(1)), [&](void* to, int64_t panel) {
    kernels_for(d).pack_panel(to, address(weight), weight.size(0), weight.size(1), panel);
  });
}

at::Tensor weight_product(const at::Tensor& d, const at::Tensor& x) {
  const ProductKernels& kernel = kernels_for(d);
  const int64_t rows = d.size(0);
  Product p = of_columns(x.size(1));
  p.rows = d.size(1), p.depth = parts(rows, kernel.values), p.a_stride = parts(p.depth, kernel.block) * kernel.block;
  const at::Tensor transposed = at::empty({p.rows, p.a_stride}, at::kFloat);
  p.a = transposed.data_ptr();
  at::parallel_for(0, parts(p.rows, kernel.block), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++)
      kernel.transpose(transposed.data_ptr(), p.a_stride, address(d), rows, p.rows, block);
  });
  return compute(p, d, [&](void* to, int64_t panel) { kernel.pack_panel(to, address(x), rows, p.columns, panel); });
}

}  // namespace retune
