R"cuda(
// Rows of fp32 and bf16, four neighbours at a time; all arithmetic is fp32.

typedef unsigned short bf16;

struct Four {
  float v[4];
};

__device__ float widen(bf16 value) { return __uint_as_float((unsigned)value << 16); }

__device__ bf16 narrow(float value) {
  const unsigned bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bf16)((bits >> 16) | 0x40u);
  return (bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

__device__ Four load(const float* p) {
  const float4 a = *(const float4*)p;
  return {a.x, a.y, a.z, a.w};
}

__device__ Four load(const bf16* p) {
  const ushort4 a = *(const ushort4*)p;
  return {widen(a.x), widen(a.y), widen(a.z), widen(a.w)};
}

__device__ void store(float* p, const Four& a) { *(float4*)p = make_float4(a.v[0], a.v[1], a.v[2], a.v[3]); }

__device__ void store(bf16* p, const Four& a) {
  *(ushort4*)p = make_ushort4(narrow(a.v[0]), narrow(a.v[1]), narrow(a.v[2]), narrow(a.v[3]));
}

// In all lanes.
template <class F>
__device__ F warp_sum(F value) {
  for (int apart = 16; apart; apart /= 2) value += __shfl_xor_sync(0xffffffffu, value, apart);
  return value;
}
)cuda"
