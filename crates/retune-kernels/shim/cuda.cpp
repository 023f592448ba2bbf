// How kernels for GPUs are compiled and started. The few functions of NVRTC and of the driver that this takes are looked up
// at run time, as libtorch itself does.
#include "cuda.h"
#include <c10/core/impl/VirtualGuardImpl.h>
#include <map>
#include <mutex>
#include <string>
#include <vector>
#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace retune::cuda {
namespace {

#define RETUNE_TEXT(value) #value
#define RETUNE_DEFINE(name) RETUNE_DEFINE_AS(#name, name)
#define RETUNE_DEFINE_AS(name, value) "#define " name " " RETUNE_TEXT(value) "\n"

const char* const SOURCE =
    RETUNE_DEFINE(RETUNE_PIECE)
    RETUNE_DEFINE(RETUNE_WARPS)
    RETUNE_DEFINE(RETUNE_COLUMNS)
    RETUNE_DEFINE(RETUNE_TILES)
#include "cuda/vector.cuh"
#include "cuda/norm.cuh"
#include "cuda/linear.cuh"
#include "cuda/adamw.cuh"
    ;

// Types of nvrtc.h and cuda.h.
using Program = struct ProgramTag*;
using Context = struct ContextTag*;
using Module = struct ModuleTag*;
using Function = struct FunctionTag*;
constexpr int MULTIPROCESSOR_COUNT = 16, CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76;  // CUdevice_attribute

struct Api {
  int (*nvrtcCreateProgram)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  int (*nvrtcCompileProgram)(Program, int, const char* const*);
  int (*nvrtcGetCUBINSize)(Program, size_t*);
  int (*nvrtcGetCUBIN)(Program, char*);
  int (*nvrtcDestroyProgram)(Program*);
  int (*cuDeviceGetAttribute)(int*, int, int);
  int (*cuDeviceGetName)(char*, int, int);
  int (*cuCtxGetCurrent)(Context*);
  int (*cuCtxSetCurrent)(Context);
  int (*cuDevicePrimaryCtxRetain)(Context*, int);
  int (*cuModuleLoadData)(Module*, const void*);
  int (*cuModuleGetFunction)(Function*, Module, const char*);
  int (*cuLaunchKernel)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**,
                        void**);
};

// Null where a library or a function is missing.
const Api* api() {
  static const Api* const found = []() -> const Api* {
#if defined(_WIN32)
    return nullptr;
#else
    // libtorch's own door to NVRTC, which knows where that lies.
    void* nvrtc = dlopen("libcaffe2_nvrtc.so", RTLD_NOW | RTLD_LOCAL);
    void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!nvrtc || !driver) return nullptr;
    static Api api;
    bool complete = true;
    const auto take = [&](void* library, const char* name, auto& function) {
      function = (std::decay_t<decltype(function)>)dlsym(library, name);
      complete &= function != nullptr;
    };
#define TAKE(library, name) take(library, #name, api.name)
    TAKE(nvrtc, nvrtcCreateProgram);
    TAKE(nvrtc, nvrtcCompileProgram);
    TAKE(nvrtc, nvrtcGetCUBINSize);
    TAKE(nvrtc, nvrtcGetCUBIN);
    TAKE(nvrtc, nvrtcDestroyProgram);
    TAKE(driver, cuDeviceGetAttribute);
    TAKE(driver, cuDeviceGetName);
    TAKE(driver, cuCtxGetCurrent);
    TAKE(driver, cuCtxSetCurrent);
    TAKE(driver, cuDevicePrimaryCtxRetain);
    TAKE(driver, cuModuleLoadData);
    TAKE(driver, cuModuleGetFunction);
    TAKE(driver, cuLaunchKernel);
#undef TAKE
    return complete ? &api : nullptr;
#endif
  }();
  return found;
}

struct Compiled {
  Context context = nullptr;
  Module module = nullptr;  // null where it could not be compiled
  std::map<std::string, Function> functions;
};

std::mutex lock;

Module compile(int device) {
  int major = 0, minor = 0;
  api()->cuDeviceGetAttribute(&major, CAPABILITY_MAJOR, device);
  api()->cuDeviceGetAttribute(&minor, CAPABILITY_MINOR, device);
  const std::string architecture = "--gpu-architecture=sm_" + std::to_string(10 * major + minor);
  const char* options[] = {architecture.c_str(), "--std=c++17"};
  Program program = nullptr;
  Module module = nullptr;
  size_t size = 0;
  if (api()->nvrtcCreateProgram(&program, SOURCE, "retune.cu", 0, nullptr, nullptr)) return nullptr;
  if (!api()->nvrtcCompileProgram(program, 2, options) && !api()->nvrtcGetCUBINSize(program, &size)) {
    std::vector<char> binary(size);
    if (api()->nvrtcGetCUBIN(program, binary.data()) || api()->cuModuleLoadData(&module, binary.data())) module = nullptr;
  }
  api()->nvrtcDestroyProgram(&program);
  return module;
}

// The kernels of a device, whose context is then that of this thread. Under the lock.
Compiled& compiled(at::Device device) {
  static std::map<int, Compiled> all;
  const int index = device.index() < 0 ? 0 : device.index();
  const auto [place, fresh] = all.try_emplace(index);
  Compiled& found = place->second;
  if (fresh && api()->cuDevicePrimaryCtxRetain(&found.context, index)) found.context = nullptr;
  if (!found.context) return found;
  Context current = nullptr;
  api()->cuCtxGetCurrent(&current);
  if (current != found.context) api()->cuCtxSetCurrent(found.context);
  if (fresh) found.module = compile(index);
  return found;
}

}  // namespace

bool available(at::Device device) {
  if (!device.is_cuda() || !api()) return false;
  const std::lock_guard<std::mutex> guard(lock);
  return compiled(device).module != nullptr;
}

int64_t multiprocessors(at::Device device) {
  int count = 1;
  api()->cuDeviceGetAttribute(&count, MULTIPROCESSOR_COUNT, device.index());
  return count;
}

void launch(const char* name, at::Device device, const Launch& launch, void** arguments) {
  Function function;
  {
    const std::lock_guard<std::mutex> guard(lock);
    TORCH_CHECK(api(), "NVRTC, which comes with libtorch for CUDA and compiles kernels for GPUs, could not be loaded");
    Compiled& kernels = compiled(device);
    TORCH_CHECK(kernels.module, "NVRTC could not compile the kernels for ", device);
    const auto [place, fresh] = kernels.functions.try_emplace(name, nullptr);
    if (fresh) TORCH_CHECK(!api()->cuModuleGetFunction(&place->second, kernels.module, name), "no kernel ", name);
    function = place->second;
  }
  void* stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
  const int status = api()->cuLaunchKernel(function, (unsigned)launch.blocks, (unsigned)launch.blocks_down, 1,
                                           (unsigned)launch.threads, 1, 1, (unsigned)launch.shared_bytes, stream,
                                           arguments, nullptr);
  TORCH_CHECK(status == 0, "kernel ", name, " could not be started: CUDA error ", status);
}

}  // namespace retune::cuda

// What its maker calls it; empty where that is not known. `name` holds `size` bytes.
extern "C" void retune_device_name(int64_t device, char* name, int64_t size) {
  const auto* api = retune::cuda::api();
  if (!api || api->cuDeviceGetName(name, (int)size, (int)device)) *name = 0;
}
