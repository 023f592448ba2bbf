// AdamW over single rows of a table whose gradient is sparse. A row without a gradient still moves (its moments decay,
// and so does the weight), but nobody sees that until it is read: its missed steps are replayed then, in the same
// arithmetic.
// Reference: the whole-table step in adamw.cpp, which gives the same values.
#include "adamw.h"
#include "nodes.h"

namespace {

struct Table {
  float *weight, *first, *second;
  int64_t width;

  Table(const at::Tensor& w, const at::Tensor& m, const at::Tensor& v) : width(w.size(1)) {
    for (const at::Tensor* tensor : {&w, &m, &v})
      TORCH_CHECK(tensor->is_contiguous() && tensor->device().is_cpu() && tensor->scalar_type() == at::kFloat &&
                      tensor->sizes() == w.sizes(),
                  "a table and its moments are contiguous fp32 of one shape");
    weight = w.data_ptr<float>(), first = m.data_ptr<float>(), second = v.data_ptr<float>();
  }
};

constexpr int BLOCK = 64;  // columns whose state stays in registers and nearest cache while steps are replayed

// Steps without a gradient.
RETUNE_CLONES void replay(float* w, float* m, float* v, int64_t width, const AdamWStep* steps, int64_t count) {
  for (int64_t begin = 0; begin < width; begin += BLOCK) {
    const int64_t length = width - begin < BLOCK ? width - begin : BLOCK;
    bool moving = false;
    for (int64_t i = begin; i < begin + length; i++) moving |= m[i] != 0 || v[i] != 0;
    for (int64_t s = 0; s < count; s++) {
      const AdamWStep step = steps[s];
      if (!moving) {
        if (step.keep != 1.0f)
          for (int64_t i = begin; i < begin + length; i++) w[i] *= step.keep;
        continue;
      }
      if (length == BLOCK)
        for (int64_t i = begin; i < begin + BLOCK; i++) adamw_element(w[i], 0.0f, m[i], v[i], step);
      else
        for (int64_t i = begin; i < begin + length; i++) adamw_element(w[i], 0.0f, m[i], v[i], step);
    }
  }
}

// Multiplies a row by one factor after the other, as the steps did it that they come from.
RETUNE_CLONES void decay(float* w, int64_t width, const float* factors, int64_t count) {
  for (int64_t begin = 0; begin < width; begin += BLOCK) {
    const int64_t length = width - begin < BLOCK ? width - begin : BLOCK;
    float block[BLOCK] = {};
    for (int64_t i = 0; i < length; i++) block[i] = w[begin + i];
    for (int64_t s = 0; s < count; s++)
      for (int i = 0; i < BLOCK; i++) block[i] *= factors[s];
    for (int64_t i = 0; i < length; i++) w[begin + i] = block[i];
  }
}

RETUNE_CLONES void update(float* w, const float* g, float* m, float* v, int64_t width, AdamWStep step) {
  for (int64_t i = 0; i < width; i++) adamw_element(w[i], g[i], m[i], v[i], step);
}

}  // namespace

extern "C" {

// Brings rows of the table up to step `done`. `last` [U] int64 holds the step each row is at; `past[i]` is step
// done - count + i + 1. `rows` int64 may repeat; `row_map` turns ids into rows (-1: none); null: all rows.
int retune_adamw_catch_up(const at::Tensor* weight, const at::Tensor* first, const at::Tensor* second,
                          const at::Tensor* last, const at::Tensor* rows, const at::Tensor* row_map,
                          const AdamWStep* past, int64_t count, int64_t done) {
  RETUNE_TRY({
    const Table table(*weight, *first, *second);
    const int64_t total = weight->size(0), ids = row_map ? row_map->numel() : total;
    int64_t* at_step = last->data_ptr<int64_t>();
    const int64_t* map = row_map ? row_map->data_ptr<int64_t>() : nullptr;
    std::vector<std::pair<int64_t, int64_t>> stale;  // row, steps it missed
    const auto consider = [&](int64_t row) {
      if (row < 0 || at_step[row] >= done) return;
      TORCH_CHECK(done - at_step[row] <= count, "a row is older than the remembered steps");
      stale.emplace_back(row, done - at_step[row]);
      at_step[row] = done;
    };
    if (rows) {
      const at::Tensor wanted = rows->to(at::kLong).contiguous();
      const int64_t* id = wanted.data_ptr<int64_t>();
      for (int64_t i = 0; i < wanted.numel(); i++) {
        TORCH_CHECK(id[i] >= 0 && id[i] < ids, "row ", id[i], " is outside a table of ", ids, " rows");
        consider(map ? map[id[i]] : id[i]);
      }
    } else {
      for (int64_t row = 0; row < total; row++) consider(row);
    }
    at::parallel_for(0, (int64_t)stale.size(), 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const auto [row, missed] = stale[i];
        const int64_t offset = row * table.width;
        replay(table.weight + offset, table.first + offset, table.second + offset, table.width, past + count - missed,
               missed);
      }
    });
  })
}

// One step of `rows`, each once and up to date, with their gradients [n, E]; `number` is the step's.
int retune_adamw_rows(const at::Tensor* weight, const at::Tensor* first, const at::Tensor* second,
                      const at::Tensor* last, const at::Tensor* rows, const at::Tensor* gradients,
                      const AdamWStep* step, int64_t number) {
  RETUNE_TRY({
    const Table table(*weight, *first, *second);
    int64_t* at_step = last->data_ptr<int64_t>();
    const at::Tensor index = rows->contiguous(), values = gradients->contiguous();
    const int64_t* row = index.data_ptr<int64_t>();
    const float* g = values.data_ptr<float>();
    at::parallel_for(0, index.numel(), 32, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t offset = row[i] * table.width;
        update(table.weight + offset, g + i * table.width, table.first + offset, table.second + offset, table.width,
               *step);
        at_step[row[i]] = number;
      }
    });
  })
}

// Multiplies the rows of `whole` [V, E] that `row_map` [V] leaves out (-1) by each of `count` factors in turn.
int retune_decay_rest(const at::Tensor* whole, const at::Tensor* row_map, const float* factors, int64_t count) {
  RETUNE_TRY({
    const int64_t rows = whole->size(0), width = whole->size(1);
    TORCH_CHECK(whole->is_contiguous() && whole->scalar_type() == at::kFloat && row_map->numel() == rows,
                "a contiguous fp32 table and a map of its rows");
    float* values = whole->data_ptr<float>();
    const int64_t* map = row_map->data_ptr<int64_t>();
    at::parallel_for(0, rows, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row++)
        if (map[row] < 0) decay(values + row * width, width, factors, count);
    });
  })
}
}
