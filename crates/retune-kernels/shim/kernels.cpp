// Which of the tables this processor runs.
#include "kernels.h"
#include <algorithm>
#if defined(RETUNE_X86)
#include <cpuid.h>
#endif
#if defined(RETUNE_X86) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace retune {

#if defined(RETUNE_X86)
namespace amx { extern const TiledAttention attention; }
namespace avx512bf16 { extern const Kernels table; }
namespace avx512 { extern const Kernels table; }
namespace avx2 { extern const Kernels table; }
#endif
namespace baseline { extern const Kernels table; }

#if defined(RETUNE_X86)
static int64_t scratch_with_tiles(int64_t tokens, int64_t head_size, bool backward) {
  return std::max(avx512bf16::table.attention_scratch(tokens, head_size, backward),
                  amx::attention.scratch(tokens, head_size, backward));
}

static const Kernels& with_tiles() {
  static const Kernels tiled = [] {
    Kernels all = avx512bf16::table;
    all.name = "amx";
    all.bf16.attention_forward = amx::attention.forward;
    all.bf16.attention_backward = amx::attention.backward;
    all.attention_scratch = scratch_with_tiles;
    return all;
  }();
  return tiled;
}
#endif

static bool ask_for_tiles() {
#if defined(RETUNE_X86) && defined(__linux__) && defined(SYS_arch_prctl)
  constexpr unsigned BF16 = 1u << 22, TILE = 1u << 24;
  constexpr long REQUEST_PERMISSION = 0x1023, TILE_DATA = 18;  // of Linux, for registers that are large to save
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool there = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & BF16) && (d & TILE);
  return there && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  return false;
#endif
}

bool has_tiles() {
  static const bool there = ask_for_tiles();
  return there;
}

static const Kernels& choose() {
#if defined(RETUNE_X86)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512cd");
  if (v4 && __builtin_cpu_supports("avx512bf16")) return has_tiles() ? with_tiles() : avx512bf16::table;
  if (v4) return avx512::table;
  if (v3) return avx2::table;
#endif
  return baseline::table;
}

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace retune

extern "C" const char* retune_kernels_name() { return retune::kernels().name; }
