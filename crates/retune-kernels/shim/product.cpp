// Products of whole layers over the loops of isa/product.h. Reference: libtorch's `mm`.
#include "product.h"
#include <atomic>

namespace retune {
namespace {

constexpr int64_t SMALLEST = 32;  // of each size: below, packing costs more than it saves
constexpr int64_t UNITS = 2;      // of work, that there are at least for each thread
constexpr int64_t TILES = 4;      // that a unit has at least

const ProductKernels& kernels_for(const at::Tensor& like) {
  return like.scalar_type() == at::kFloat ? kernels().fp32.product : kernels().bf16.product;
}

// The B of a product, in panels.
struct Panels {
  const at::Tensor& from;
  const bool transposed;  // B = fromᵀ
  const ProductKernels& kernel = kernels_for(from);

  int64_t columns() const { return from.size(transposed ? 0 : 1); }

  void pack(void* to, int64_t panel) const {
    if (transposed) kernel.pack_transposed(to, address(from), from.size(0), from.size(1) / kernel.values, panel);
    else kernel.pack_panel(to, address(from), from.size(0), from.size(1), panel);
  }

  // What pack() will read.
  Ahead source(int64_t panel) const {
    const int64_t first = panel * kernel.panel, count = std::min(kernel.panel, columns() - first);
    if (count <= 0) return {};
    const int64_t size = from.element_size(), stride = from.size(1) * size;
    const char* start = (const char*)address(from);
    if (transposed) return {start + first * stride, 1, count * stride, 0};
    return {start + first * size, from.size(0), count * size, stride};
  }
};

// A B; `p` says everything but the columns. Threads take panels as they become free.
at::Tensor compute(Product p, const Panels& b) {
  const ProductKernels& kernel = b.kernel;
  p.columns = b.columns();
  const int64_t threads = at::get_num_threads(), tiles = parts(p.rows, kernel.tile), panels = parts(p.columns, kernel.panel);
  const at::Tensor out = at::empty({p.rows, p.columns}, b.from.options());
  p.out = out.data_ptr();
  const int64_t down = std::clamp<int64_t>(parts(UNITS * threads, panels), 1, parts(tiles, TILES));
  std::atomic<int64_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    float* panel = thread_scratch(kernel.panel * p.depth);
    for (int64_t unit; (unit = next++) < panels * down;) {
      const int64_t column = unit / down, part = unit % down;
      b.pack(panel, column);
      const Ahead ahead = b.source((unit + threads) / down);  // where all threads keep pace
      kernel.compute(p, ahead, panel, tiles * part / down * kernel.tile,
                     std::min(p.rows, tiles * (part + 1) / down * kernel.tile), column);
    }
  });
  return out;
}

// x [M, K] times B; `p` says everything else.
at::Tensor times(const at::Tensor& x, const Panels& b, Product p) {
  p.rows = x.size(0), p.a = x.data_ptr(), p.a_stride = p.depth = x.size(1) / b.kernel.values;
  return compute(p, b);
}

// Whether there are better kernels than libtorch's for tensors like this one, with these sizes.
bool takes(const at::Tensor& like, int64_t m, int64_t n, int64_t k) {
  if (!like.is_cpu()) return false;
  const ProductKernels& kernel = kernels_for(like);
  // oneDNN multiplies bf16 in matrix registers, where there are any.
  const bool better = kernel.compute && !(like.scalar_type() == at::kBFloat16 && has_tiles());
  return better && n % kernel.values == 0 && k % kernel.values == 0 && std::min({m, n, k}) >= SMALLEST;
}

}  // namespace

bool takes_product(const at::Tensor& x, const at::Tensor& weight) {
  return takes(x, x.size(0), weight.size(0), weight.size(1));
}

at::Tensor forward_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const at::Tensor& derivative, Activation activation) {
  Product p{};
  p.activation = activation, p.bias = address(bias), p.derivative = address(derivative);
  return times(x, {weight.contiguous(), true}, p);
}

at::Tensor plain_product(const at::Tensor& x, const at::Tensor& weight) {
  return takes_product(x, weight) ? forward_product(x, weight, {}, {}, Activation::identity) : at::mm(x, weight.t());
}

at::Tensor input_product(const at::Tensor& d, const at::Tensor& weight) {
  if (!takes(d, d.size(0), weight.size(0), weight.size(1))) return at::mm(d, weight);
  return times(d, {weight.contiguous(), false}, {});
}

at::Tensor weight_product(const at::Tensor& d, const at::Tensor& x) {
  if (!takes(d, d.size(0), d.size(1), x.size(1))) return at::mm(d.t(), x);
  const ProductKernels& kernel = kernels_for(d);
  const int64_t rows = d.size(0);
  Product p{};
  p.rows = d.size(1), p.depth = parts(rows, kernel.values), p.a_stride = parts(p.depth, kernel.block) * kernel.block;
  const at::Tensor transposed = at::empty({p.rows, p.a_stride}, at::kFloat);
  p.a = transposed.data_ptr();
  at::parallel_for(0, parts(p.rows, kernel.block), 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++)
      kernel.transpose(transposed.data_ptr(), p.a_stride, address(d), rows, p.rows, block);
  });
  return compute(p, {x, false});
}

}  // namespace retune
