// Beside a GPU: copies that the host does not wait for, attention without padding, memory. Only through libtorch's
// dispatcher and its device-neutral interfaces, so that it compiles, and does no harm, without CUDA.
#include "shim.h"
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <memory>
#include <optional>

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
                            int64_t longest_key, int causal, double p, double scale) {
  RETUNE_TRY({
    if (query->scalar_type() == at::kFloat) {
      const auto result = at::_efficient_attention_forward(
          query->unsqueeze(0), key->unsqueeze(0), value->unsqueeze(0), std::nullopt, *query_starts, *key_starts,
          longest_query, longest_key, p, /*custom_mask_type=*/causal != 0 ? 1 : 0, /*compute_log_sumexp=*/true, scale);
      *out = new at::Tensor(std::get<0>(result).squeeze(0));
    } else {
      const auto result =
          at::_flash_attention_forward(*query, *key, *value, *query_starts, *key_starts, longest_query, longest_key, p,
                                       /*is_causal=*/causal != 0, /*return_debug_mask=*/false, scale);
      *out = new at::Tensor(std::get<0>(result));
    }
  })
}
}
