// What the Rust side may call. Tensors are borrowed `at::Tensor*`; a returned one is owned by the caller.
// Every function returns 0 on success; otherwise `retune_error()` holds the message of this thread's last failure.
#pragma once
#include <ATen/ATen.h>
#include <cstdint>
#include <string>

extern thread_local std::string retune_last_error;

#define RETUNE_TRY(...)                   \
  try {                                   \
    __VA_ARGS__;                          \
    return 0;                             \
  } catch (const std::exception& error) { \
    retune_last_error = error.what();     \
    return 1;                             \
  }

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// One body, compiled for AVX-512, AVX2 and the baseline; the loader picks at start.
#define RETUNE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define RETUNE_CLONES
#endif
