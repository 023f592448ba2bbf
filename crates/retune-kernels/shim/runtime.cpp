// Switches of libtorch that tch does not bind.
#include "shim.h"
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#if defined(RETUNE_X86)
// MKL's, where libtorch has it.
extern "C" __attribute__((weak)) int MKL_Set_Num_Threads_Local(int);
#endif

thread_local std::string retune_last_error;

static void set_own_threads(int threads) {
#if defined(_OPENMP)
  omp_set_num_threads(threads);
#endif
#if defined(RETUNE_X86)
  if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(threads);
#endif
}

extern "C" {

const char* retune_error() { return retune_last_error.c_str(); }

// "highest" keeps MKL; "medium" lets oneDNN take fp32 products (exact unless the processor has AMX).
int retune_set_float32_matmul_precision(const char* precision) {
  RETUNE_TRY(at::globalContext().setFloat32MatmulPrecision(std::string(precision)))
}

// On GPUs: convolutions in fp32, which cuDNN otherwise rounds to TF32; attention without cuDNN, which plans anew for each
// length of a batch.
int retune_prepare_cuda() {
  RETUNE_TRY({
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setSDPUseCuDNN(false);
  })
}

// Drops the gradient, so that the next backward pass hands its own buffer over instead of adding into a zeroed one.
int retune_clear_gradient(at::Tensor* leaf) { RETUNE_TRY(leaf->mutable_grad() = at::Tensor()) }

// at::set_num_threads sets the number of all threads to come, and drops oneDNN's primitives. Without OpenMP, as with
// Apple's compiler, the thread keeps the number that all have.
int retune_share_threads(int64_t threads) {
  RETUNE_TRY({
    at::get_num_threads();  // which sets this thread's number the first time
    set_own_threads((int)threads);
  })
}

const char* retune_cpu_capability() {
  static std::string name = at::get_cpu_capability();
  return name.c_str();
}
}
