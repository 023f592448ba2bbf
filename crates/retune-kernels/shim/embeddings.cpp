// Word, position and segment rows, their sum, norm and dropout as one node. Reference: `reference` in
// src/fused/embeddings.rs.
#include "nodes.h"

namespace retune {
namespace {

// What is no edge of the graph: indices int64 [B, T], and the rows that the word table lacks.
struct Lookup {
  at::Tensor ids, types, positions, row_map, rest;
  int64_t padding;  // this token id, and this position where positions are given, learn nothing; -1 for none
};

void check_range(const at::Tensor& indices, int64_t limit, const char* what) {
  if (!indices.defined()) return;
  const int64_t* index = indices.data_ptr<int64_t>();
  for (int64_t i = 0; i < indices.numel(); i++)
    TORCH_CHECK(index[i] >= 0 && index[i] < limit, what, " ", index[i], " is outside the table of ", limit, " rows");
}

// table_gradient[index(r)] += rows[r]; threads share the columns, so each row is summed in order.
template <class Index>
at::Tensor scatter(const at::Tensor& rows, int64_t table_rows, Index index) {
  constexpr int64_t COLUMNS = 64;
  const int64_t width = rows.size(1), count = rows.size(0);
  at::Tensor table = at::zeros({table_rows, width}, at::kFloat);
  const float* from = rows.data_ptr<float>();
  float* to = table.data_ptr<float>();
  at::parallel_for(0, (width + COLUMNS - 1) / COLUMNS, 1, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * COLUMNS, last = std::min(width, end * COLUMNS);
    for (int64_t r = 0; r < count; r++) {
      const int64_t row = index(r);
      if (row < 0) continue;
      for (int64_t i = first; i < last; i++) to[row * width + i] += from[r * width + i];
    }
  });
  return table;
}

// The gradient of a compact table: sparse, with each row in use by this batch once.
template <class Index>
at::Tensor scatter_sparse(const at::Tensor& rows, int64_t table_rows, Index index) {
  const int64_t count = rows.size(0);
  std::vector<int64_t> slot(table_rows, -1), used;
  for (int64_t r = 0; r < count; r++) {
    const int64_t row = index(r);
    if (row < 0 || slot[row] >= 0) continue;
    slot[row] = (int64_t)used.size();
    used.push_back(row);
  }
  const at::Tensor values =
      scatter(rows, (int64_t)used.size(), [&](int64_t r) { return index(r) < 0 ? -1 : slot[index(r)]; });
  const at::Tensor indices = at::empty({1, (int64_t)used.size()}, at::kLong);
  std::copy(used.begin(), used.end(), indices.data_ptr<int64_t>());
  return at::_sparse_coo_tensor_unsafe(indices, values, {table_rows, rows.size(1)});
}

struct Embeddings : torch::autograd::Function<Embeddings> {
  static at::Tensor forward(Context* context, const at::Tensor& word, const at::Tensor& position,
                            const at::Tensor& weight, const at::Tensor& bias, const MaybeTensor& type,
                            const Lookup& lookup, double epsilon, double p, int64_t seed, bool bf16, bool graph) {
    const at::Tensor& ids = lookup.ids;
    const int64_t width = word.size(1), rows = ids.numel(), tokens = ids.size(-1);
    at::Tensor y = at::empty({ids.size(0), tokens, width}, bf16 ? at::kBFloat16 : at::kFloat), normalised, rstd;
    if (graph) {
      normalised = at::empty_like(y);
      rstd = at::empty({rows}, at::kFloat);
    }
    const EmbeddingForward e{width, std::max<int64_t>(tokens, 1), pointer<int64_t>(ids), pointer<int64_t>(lookup.types),
                             pointer<int64_t>(lookup.positions), pointer<int64_t>(lookup.row_map),
                             pointer<float>(word), pointer<float>(lookup.rest), pointer<float>(position),
                             type ? pointer<float>(*type) : nullptr, pointer<float>(weight), pointer<float>(bias),
                             epsilon, {p, seed}, address(y), address(normalised),
                             pointer<float>(rstd)};
    with_type(y, [&](auto t) {
      over_rows(rows, [&](int64_t begin, int64_t end) { kernels().of(t).embedding_forward(e, begin, end); });
    });
    if (graph) {
      context->save_for_backward({normalised, rstd, weight, ids, lookup.types, lookup.positions, lookup.row_map});
      context->saved_data["p"] = p;
      context->saved_data["seed"] = seed;
      context->saved_data["padding"] = lookup.padding;
      context->saved_data["rows"] = std::vector<int64_t>{word.size(0), position.size(0), type ? type->size(0) : 0};
    }
    return y;
  }

  static variable_list backward(Context* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto table_rows = context->saved_data["rows"].toIntVector();
    const at::Tensor dy = gradients[0].contiguous(), &normalised = saved[0];
    const int64_t width = dy.size(-1), rows = saved[1].numel(), tokens = std::max<int64_t>(dy.size(1), 1);
    const bool for_type = table_rows[2] > 0 && context->needs_input_grad(4);
    const bool tables = context->needs_input_grad(0) || context->needs_input_grad(1) || for_type;
    at::Tensor dsum = tables ? at::empty({rows, width}, at::kFloat) : at::Tensor(), dword, dposition, dtype, dweight,
               dbias;
    with_type(dy, [&](auto t) {
      const NormBackward n{NormKind::norm_drop, width, address(dy), address(normalised), saved[2].data_ptr<float>(),
                           saved[1].data_ptr<float>(),
                           {context->saved_data["p"].toDouble(), context->saved_data["seed"].toInt()}, address(dsum),
                           nullptr, nullptr, nullptr};
      const auto kernel = kernels().of(t).embedding_backward;
      if (!context->needs_input_grad(2) && !context->needs_input_grad(3)) {
        over_rows(rows, [&](int64_t begin, int64_t end) { kernel(n, begin, end); });
        return;
      }
      const at::Tensor both = sum_over_rows(rows, 2 * width, at::kFloat, [&](int64_t begin, int64_t end, float* into) {
        NormBackward chunk = n;
        chunk.dweight = into;
        chunk.dbias = into + width;
        kernel(chunk, begin, end);
      });
      if (context->needs_input_grad(2)) dweight = both.narrow(0, 0, width).clone();
      if (context->needs_input_grad(3)) dbias = both.narrow(0, width, width).clone();
    });
    const int64_t *ids = pointer<int64_t>(saved[3]), *types = pointer<int64_t>(saved[4]),
                  *positions = pointer<int64_t>(saved[5]), *row_map = pointer<int64_t>(saved[6]);
    const int64_t padding = context->saved_data["padding"].toInt();
    const auto learns = [=](int64_t row) { return row == padding ? -1 : row; };
    if (context->needs_input_grad(0))
      dword = row_map ? scatter_sparse(dsum, table_rows[0],
                                       [=](int64_t r) { return ids[r] == padding ? -1 : row_map[ids[r]]; })
                      : scatter(dsum, table_rows[0], [=](int64_t r) { return learns(ids[r]); });
    if (context->needs_input_grad(1))
      dposition =
          scatter(dsum, table_rows[1], [=](int64_t r) { return positions ? learns(positions[r]) : r % tokens; });
    if (for_type) dtype = scatter(dsum, table_rows[2], [=](int64_t r) { return types ? types[r] : 0; });
    return {dword, dposition, dweight, dbias, dtype, {}, {}, {}, {}, {}, {}};
  }
};

}  // namespace
}  // namespace retune

// tables: word [U or V, E], position, norm weight, norm bias, token type or null, rest [V, E] or null, all fp32.
// indices: ids [B, T], types or null (all 0), positions or null (0, 1, … in each row), row map [V] or null.
// padding: the row of words, and of positions that are given, which gets no gradient; -1 for none.
extern "C" int retune_embeddings(at::Tensor** out, const at::Tensor* const* tables, const at::Tensor* const* indices,
                                 int64_t padding, double epsilon, double p, int64_t seed, int bf16) {
  using namespace retune;
  RETUNE_TRY({
    for (int i = 0; i < 6; i++)
      TORCH_CHECK(!tables[i] || (tables[i]->is_contiguous() && tables[i]->scalar_type() == at::kFloat),
                  "embedding tables are contiguous fp32");
    const auto index = [&](int i) { return indices[i] ? indices[i]->to(at::kLong).contiguous() : at::Tensor(); };
    const Lookup lookup{index(0), index(1), index(2), index(3), tables[5] ? *tables[5] : at::Tensor(), padding};
    TORCH_CHECK(lookup.ids.dim() == 2, "input ids are [B, T]");
    TORCH_CHECK(lookup.row_map.defined() == lookup.rest.defined(), "a row map comes with the rows it leaves out");
    TORCH_CHECK(!lookup.types.defined() || lookup.types.sizes() == lookup.ids.sizes(), "token types are [B, T]");
    TORCH_CHECK(!lookup.positions.defined() || lookup.positions.sizes() == lookup.ids.sizes(), "positions are [B, T]");
    check_range(lookup.ids, (lookup.rest.defined() ? lookup.rest : *tables[0]).size(0), "input id");
    if (tables[4]) check_range(lookup.types, tables[4]->size(0), "token type");
    check_range(lookup.positions, tables[1]->size(0), "position");
    TORCH_CHECK(lookup.positions.defined() || lookup.ids.size(1) <= tables[1]->size(0), lookup.ids.size(1),
                " tokens are more than the ", tables[1]->size(0), " positions of the table");
    const bool graph = wants_graph({tables[0], tables[1], tables[2], tables[3], tables[4]});
    *out = new at::Tensor(Embeddings::apply(*tables[0], *tables[1], *tables[2], *tables[3], maybe(tables[4]), lookup,
                                            epsilon, p, seed, bf16 != 0, graph));
  })
}
