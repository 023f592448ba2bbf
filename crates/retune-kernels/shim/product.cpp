// Products of whole layers over the loops of isa/product.h. Reference: libtorch's `mm`.
#include "product.h"
#if defined(RETUNE_X86)
#include <cpuid.h>
#endif

namespace retune {
namespace {

constexpr int64_t SMALLEST = 32;  // of each size: below, packing costs more than it saves
constexpr int64_t TILES = 4;      // that a thread has at least before columns are shared out too

int64_t parts(int64_t size, int64_t width) { return (size + width - 1) / width; }

// Processors with matrix registers, which oneDNN uses and these loops do not.
bool has_amx() {
#if defined(RETUNE_X86)
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);  // AMX-BF16
#else
  return false;
#endif
}

// Memory for so many pairs, and what a vector may run beyond them.
at::Tensor packed(int64_t pairs) { return at::empty({4 * pairs + 64}, at::kByte); }

at::Tensor compute(Product p, const at::Tensor& like) {
  const ProductKernels& kernel = kernels().product;
  const int64_t threads = at::get_num_threads(), tiles = parts(p.rows, kernel.tile),
                panels = parts(p.columns, kernel.panel);
  const at::Tensor out = at::empty({p.rows, p.columns}, like.options());
  p.out = out.data_ptr();
  const int64_t down = std::clamp<int64_t>(tiles / TILES, 1, threads),
                across = std::min(std::max<int64_t>(threads / down, 1), panels);
  at::parallel_for(0, down * across, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; part++) {
      const int64_t r = part / across, c = part % across;
      kernel.compute(p, tiles * r / down * kernel.tile, std::min(p.rows, tiles * (r + 1) / down * kernel.tile),
                     panels * c / across, panels * (c + 1) / across);
    }
  });
  return out;
}

// x [M, K] times what pack(to, begin, end) makes panels of; `p` says everything else.
template <class Pack>
at::Tensor times_packed(const at::Tensor& x, Product p, Pack pack) {
  const ProductKernels& kernel = kernels().product;
  p.rows = x.size(0), p.depth = x.size(1) / 2;
  p.a = x.data_ptr(), p.a_tile = kernel.tile * p.depth, p.a_row = p.depth, p.a_column = 1;
  const int64_t panels = parts(p.columns, kernel.panel);
  const at::Tensor b = packed(panels * kernel.panel * p.depth);
  at::parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) { pack(pointer<uint32_t>(b), begin, end); });
  p.panels = b.data_ptr();
  return compute(p, x);
}

Product of_columns(int64_t columns, Activation activation = Activation::identity) {
  Product p{};
  p.columns = columns, p.activation = activation;
  return p;
}

}  // namespace

bool takes_product(const at::Tensor& like, int64_t m, int64_t n, int64_t k) {
  static const bool amx = has_amx();
  return kernels().product.compute && !amx && like.scalar_type() == at::kBFloat16 && n % 2 == 0 && k % 2 == 0 &&
         std::min({m, n, k}) >= SMALLEST;
}

at::Tensor forward_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& derivative, Activation activation) {
  Product p = of_columns(weight.size(0), activation);
  p.bias = address(bias), p.derivative = address(derivative);
  return times_packed(x, p, [&](uint32_t* to, int64_t begin, int64_t end) {
    kernels().product.pack_transposed(to, pointer<uint16_t>(weight), weight.size(0), weight.size(1) / 2, begin, end);
  });
}

at::Tensor input_product(const at::Tensor& d, const at::Tensor& weight) {
  return times_packed(d, of_columns(weight.size(1)), [&](uint32_t* to, int64_t begin, int64_t end) {
    kernels().product.pack_panels(to, pointer<uint16_t>(weight), weight.size(0), weight.size(1), begin, end);
  });
}

at::Tensor weight_product(const at::Tensor& d, const at::Tensor& x) {
  const ProductKernels& kernel = kernels().product;
  const int64_t rows = d.size(0);
  Product p = of_columns(x.size(1));
  p.rows = d.size(1), p.depth = parts(rows, 2);
  const int64_t tiles = parts(p.rows, kernel.tile), panels = parts(p.columns, kernel.panel);
  const at::Tensor a = packed(tiles * kernel.tile * p.depth), b = packed(panels * kernel.panel * p.depth);
  at::parallel_for(0, tiles + panels, 1, [&](int64_t begin, int64_t end) {
    if (begin < tiles)
      kernel.pack_tiles(pointer<uint32_t>(a), pointer<uint16_t>(d), rows, p.rows, begin, std::min(end, tiles));
    if (end > tiles)
      kernel.pack_panels(pointer<uint32_t>(b), pointer<uint16_t>(x), rows, p.columns, std::max(begin, tiles) - tiles,
                         end - tiles);
  });
  p.a = a.data_ptr(), p.panels = b.data_ptr();
  p.a_tile = kernel.tile * p.depth, p.a_row = 1, p.a_column = kernel.tile;
  return compute(p, d);
}

}  // namespace retune
