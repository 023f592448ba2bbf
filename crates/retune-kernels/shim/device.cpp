// Beside a GPU: copies that the host does not wait for, attention without padding, AdamW, memory. Only through libtorch's
// dispatcher and its device-neutral interfaces, so that it compiles, and does no harm, without CUDA.
#include "shim.h"
#include <ATen/core/grad_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace {

// Values on their way to the host.
struct Arrival {
  at::Tensor values;
  std::optional<c10::Event> event;  // none: they are there
};

}  // namespace

extern "C" {

// Through page-locked memory: from any other, a copy waits for the device.
int retune_send(at::Tensor** out, const at::Tensor* tensor, int64_t device) {
  RETUNE_TRY({
    at::Tensor locked = tensor->pin_memory();
    *out = new at::Tensor(locked.to(at::Device(at::kCUDA, (at::DeviceIndex)device), /*non_blocking=*/true));
  })
}

int retune_arrival_new(Arrival** out, const at::Tensor* tensor) {
  RETUNE_TRY({
    at::Tensor source = tensor->detach().to(at::kDouble).contiguous();
    auto arrival = std::make_unique<Arrival>();
    if (source.device().is_cpu()) {
      arrival->values = source.clone();
    } else {
      const at::Device device = source.device();
      arrival->values = at::empty(source.sizes(), source.options().device(at::kCPU).pinned_memory(true));
      arrival->values.copy_(source, /*non_blocking=*/true);
      arrival->event.emplace(device.type());
      arrival->event->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
    }
    *out = arrival.release();
  })
}

// 1 where the values are there, 0 where not yet, -1 on failure.
int retune_arrival_there(const Arrival* arrival) {
  try {
    return !arrival->event || arrival->event->query();
  } catch (const std::exception& error) {
    retune_last_error = error.what();
    return -1;
  }
}

// Waits, and copies all values.
int retune_arrival_read(const Arrival* arrival, double* values, int64_t count) {
  RETUNE_TRY({
    if (arrival->event) arrival->event->synchronize();
    TORCH_CHECK(arrival->values.numel() == count, "an arrival of ", arrival->values.numel(), " values, not ", count);
    std::copy_n(arrival->values.data_ptr<double>(), count, values);
  })
}

void retune_arrival_free(Arrival* arrival) { delete arrival; }

// Most bytes that tensors took on a GPU at once.
int retune_device_peak(int64_t device, int64_t* bytes) {
  RETUNE_TRY(*bytes = c10::getDeviceAllocator(at::kCUDA)->getDeviceStats((c10::DeviceIndex)device).allocated_bytes[0].peak)
}

// Forgets it, and gives back what no tensor uses.
int retune_reset_device_peak(int64_t device) {
  RETUNE_TRY({
    c10::DeviceAllocator* allocator = c10::getDeviceAllocator(at::kCUDA);
    allocator->emptyCache();
    allocator->resetPeakStats((c10::DeviceIndex)device);
  })
}

// Attention within sequences that lie side by side: query [M, H, K], key and value [N, H, K]; sequence b has the rows from
// starts[b] to starts[b + 1] (int32 [B + 1]). Flash attention (Dao 2023) in bf16, the memory-efficient one (Rabe & Staats
// 2021) in fp32. Reference: the additive mask of `AttentionMask`.
int retune_packed_attention(at::Tensor** out, const at::Tensor* query, const at::Tensor* key, const at::Tensor* value,
                            const at::Tensor* query_starts, const at::Tensor* key_starts, int64_t longest_query,
                            int64_t longest_key, double p, double scale) {
  RETUNE_TRY({
    if (query->scalar_type() == at::kFloat) {
      const auto result = at::_efficient_attention_forward(
          query->unsqueeze(0), key->unsqueeze(0), value->unsqueeze(0), std::nullopt, *query_starts, *key_starts,
          longest_query, longest_key, p, /*custom_mask_type=*/0, /*compute_log_sumexp=*/true, scale);
      *out = new at::Tensor(std::get<0>(result).squeeze(0));
    } else {
      const auto result =
          at::_flash_attention_forward(*query, *key, *value, *query_starts, *key_starts, longest_query, longest_key, p,
                                       /*is_causal=*/false, /*return_debug_mask=*/false, scale);
      *out = new at::Tensor(std::get<0>(result));
    }
  })
}

// One AdamW step in a few launches, and no waiting: the factor that clips, and whether all is finite, stay on the device.
// Gradients are multiplied by the scalar `scale`; where one is not finite, nothing changes. `norms` becomes the norm of
// each scaled gradient, [count]. Reference: `reference_step` in src/optimizer.rs.
int retune_adamw_device(at::Tensor** norms, at::Tensor* const* masters, const at::Tensor* const* gradients,
                        at::Tensor* const* firsts, at::Tensor* const* seconds, at::Tensor* const* copies,
                        const double* rates, const double* decays, int64_t count, const at::Tensor* scale, double clip,
                        double beta1, double beta2, double epsilon, int64_t number) {
  RETUNE_TRY({
    at::AutoGradMode guard(false);
    std::vector<at::Tensor> exact, rounded_to, rounded_from;
    for (int64_t t = 0; t < count; t++) {
      const at::Tensor& gradient = *gradients[t];
      const bool rounded = gradient.scalar_type() != at::kFloat;
      exact.push_back(rounded ? at::empty_like(gradient, gradient.options().dtype(at::kFloat)) : gradient);
      if (rounded) rounded_to.push_back(exact.back()), rounded_from.push_back(gradient);
    }
    if (!rounded_to.empty()) at::_foreach_copy_(rounded_to, rounded_from);
    const at::Tensor factor = scale->to(masters[0]->device(), at::kDouble);
    const at::Tensor scaled = at::stack(at::_foreach_norm(exact, 2)).to(at::kDouble) * factor;
    const at::Tensor total = at::linalg_vector_norm(scaled);
    // torch.nn.utils.clip_grad_norm_ adds 1e-6 to the norm.
    const at::Tensor clipped = clip > 0 ? (clip / (total + 1e-6)).clamp_max(1.0) * factor : factor;
    const at::Tensor divisor = clipped.reciprocal().to(at::kFloat);
    const at::Tensor bad = total.isfinite().logical_not().to(at::kFloat);
    const at::Tensor step = at::full({}, (double)number, total.options().dtype(at::kFloat));
    std::map<std::pair<double, double>, std::vector<int64_t>> groups;
    for (int64_t t = 0; t < count; t++) groups[{rates[t], decays[t]}].push_back(t);
    for (const auto& [settings, members] : groups) {
      std::vector<at::Tensor> weights, slopes, means, squares;
      for (int64_t t : members) {
        weights.push_back(*masters[t]), slopes.push_back(exact[t]);
        means.push_back(*firsts[t]), squares.push_back(*seconds[t]);
      }
      const std::vector<at::Tensor> steps(members.size(), step);
      at::_fused_adamw_(weights, slopes, means, squares, {}, steps, settings.first, beta1, beta2, settings.second,
                        epsilon, /*amsgrad=*/false, /*maximize=*/false, divisor, bad);
    }
    std::vector<at::Tensor> copied, origins;
    for (int64_t t = 0; t < count; t++)
      if (copies[t]) copied.push_back(*copies[t]), origins.push_back(*masters[t]);
    if (!copied.empty()) at::_foreach_copy_(copied, origins);
    *norms = new at::Tensor(scaled);
  })
}
}
