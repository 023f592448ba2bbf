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

// Memory for `elements` floats or pairs and what a vector may run beyond.
at::Tensor packed(int64_t elements) { return at::empty({4 * elements + 64}, at::kByte); }

template <class T>
at::Tensor compute(Product p, const at::Tensor& like) {
  const ProductKernels<T>& kernel = kernels().of(T()).product;
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

// x's rows as A.
template <class T>
void rows_of(Product& p, const at::Tensor& x) {
  const ProductKernels<T>& kernel = kernels().of(T()).product;
  p.depth = x.size(1) / kernel.pair;
  p.a = x.data_ptr();
  p.a_tile = kernel.tile * p.depth, p.a_row = p.depth, p.a_column = 1;
}

}  // namespace

bool takes_product(const at::Tensor& like, int64_t m, int64_t n, int64_t k) {
  static const bool amx = has_amx();
  if (amx || std::min({m, n, k}) < SMALLEST) return false;
  bool takes = false;
  with_type(like, [&](auto type) {
    const auto& kernel = kernels().of(type).product;
    takes = kernel.compute && n % kernel.pair == 0 && k % kernel.pair == 0;
  });
  return takes;
}

at::Tensor forward_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& derivative, Activation activation) {
  at::Tensor y;
  with_type(x, [&](auto type) {
    using T = decltype(type);
    const ProductKernels<T>& kernel = kernels().of(type).product;
    Product p{x.size(0), weight.size(0)};
    rows_of<T>(p, x);
    const int64_t panels = parts(p.columns, kernel.panel);
    const at::Tensor b = packed(panels * kernel.panel * p.depth);
    at::parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
      kernel.pack_transposed(b.data_ptr(), pointer<T>(weight), p.columns, p.depth, weight.size(1), begin, end);
    });
    p.panels = b.data_ptr(), p.bias = address(bias), p.derivative = address(derivative), p.activation = activation;
    y = compute<T>(p, x);
  });
  return y;
}

at::Tensor input_product(const at::Tensor& d, const at::Tensor& weight) {
  at::Tensor dx;
  with_type(d, [&](auto type) {
    using T = decltype(type);
    const ProductKernels<T>& kernel = kernels().of(type).product;
    Product p{d.size(0), weight.size(1)};
    rows_of<T>(p, d);
    const int64_t panels = parts(p.columns, kernel.panel);
    const at::Tensor b = packed(panels * kernel.panel * p.depth);
    at::parallel_for(0, panels, 1, [&](int64_t begin, int64_t end) {
      kernel.pack_panels(b.data_ptr(), pointer<T>(weight), weight.size(0), weight.size(1), begin, end);
    });
    p.panels = b.data_ptr(), p.activation = Activation::identity;
    dx = compute<T>(p, d);
  });
  return dx;
}

at::Tensor weight_product(const at::Tensor& d, const at::Tensor& x) {
  at::Tensor dweight;
  with_type(d, [&](auto type) {
    using T = decltype(type);
    const ProductKernels<T>& kernel = kernels().of(type).product;
    const int64_t rows = d.size(0);
    Product p{d.size(1), x.size(1), parts(rows, kernel.pair)};
    const int64_t tiles = parts(p.rows, kernel.tile), panels = parts(p.columns, kernel.panel);
    const at::Tensor a = packed(tiles * kernel.tile * p.depth), b = packed(panels * kernel.panel * p.depth);
    at::parallel_for(0, tiles + panels, 1, [&](int64_t begin, int64_t end) {
      if (begin < tiles) kernel.pack_tiles(a.data_ptr(), pointer<T>(d), rows, p.rows, begin, std::min(end, tiles));
      if (end > tiles)
        kernel.pack_panels(b.data_ptr(), pointer<T>(x), rows, p.columns, std::max(begin, tiles) - tiles, end - tiles);
    });
    p.a = a.data_ptr(), p.panels = b.data_ptr(), p.activation = Activation::identity;
    p.a_tile = kernel.tile * p.depth, p.a_row = 1, p.a_column = kernel.tile;
    dweight = compute<T>(p, d);
  });
  return dweight;
}

}  // namespace retune
