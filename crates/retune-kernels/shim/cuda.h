// Kernels for GPUs, compiled when they are first used by NVRTC, which comes with libtorch: building needs no CUDA.
#pragma once
#include <ATen/ATen.h>
#include <cstdint>

// Sizes that kernels and their callers share; shim/cuda.cpp writes them into the text of the kernels.
#define RETUNE_PIECE 32768  // elements of a tensor that a block of AdamW has
#define RETUNE_WARPS 8      // of a block of activation_backward
#define RETUNE_COLUMNS 128  // of its tile: four for each lane
#define RETUNE_TILES 1024   // most of them

namespace retune::cuda {

// Whether kernels can be compiled for this GPU; the first call tries.
bool available(at::Device device);

int64_t multiprocessors(at::Device device);

struct Launch {
  int64_t blocks;
  int64_t threads;
  int64_t shared_bytes;
  int64_t blocks_down = 1;  // in the second dimension
};

// Starts a kernel of shim/cuda/ on the current stream of the device; `arguments` point at its parameters.
void launch(const char* name, at::Device device, const Launch& launch, void** arguments);

}  // namespace retune::cuda
