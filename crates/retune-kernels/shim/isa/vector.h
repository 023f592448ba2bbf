// Vectors of LANES floats in the compiler's own vector extension: one text, compiled once per instruction set.
// bf16 values are uint16_t; all arithmetic is fp32. Included only by table.cpp, inside namespace RETUNE_ISA.
#pragma once

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX2__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));

#define INLINE static inline __attribute__((always_inline))

INLINE Floats broadcast(float value) { return value - Floats{}; }

INLINE Floats load(const float* from) {
  Floats value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

INLINE Floats load(const uint16_t* from) {
#if defined(__AVX512F__)
  return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)from)), 16);
#else
  Halves bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return (Floats)(__builtin_convertvector(bits, Words) << 16);
#endif
}

INLINE void store(float* to, Floats value) { __builtin_memcpy(to, &value, sizeof value); }

// Rounds to nearest even; a NaN stays a NaN because the quiet bit is set.
INLINE void store(uint16_t* to, Floats value) {
#if defined(__AVX512BF16__)
  const __m256bh narrow = _mm512_cvtneps_pbh((__m512)value);
#else
  const Words bits = (Words)value;
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Words quiet = (bits >> 16) | 0x40u;
  const Halves narrow = __builtin_convertvector((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded, Halves);
#endif
  __builtin_memcpy(to, &narrow, sizeof narrow);
}

// 1/x to 7e-5 of it for 1 <= x < 2^126.
INLINE Floats rough_reciprocal(Floats x) {
#if defined(__AVX512F__)
  return (Floats)_mm512_rcp14_ps((__m512)x);
#else
  return 1.0f / x;
#endif
}

// The same to 1 unit in the last place.
INLINE Floats reciprocal(Floats x) {
  const Floats guess = rough_reciprocal(x);
#if defined(__AVX512F__)
  return guess * (2.0f - x * guess);
#else
  return guess;
#endif
}

// The first `count` < LANES elements; the other lanes are zero, or left alone in memory.
template <class T>
INLINE Floats load(const T* from, int count) {
  T whole[LANES] = {};
  for (int i = 0; i < count; i++) whole[i] = from[i];
  return load(whole);
}

template <class T>
INLINE void store(T* to, Floats value, int count) {
  T whole[LANES];
  store(whole, value);
  for (int i = 0; i < count; i++) to[i] = whole[i];
}

INLINE float sum(Floats value) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)value);
#else
  float lanes[LANES];
  store(lanes, value);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
#endif
}

// The second where either is NaN.
INLINE Floats maximum(Floats a, Floats b) {
#if defined(__AVX512F__)
  return (Floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
  return a > b ? a : b;
#endif
}

INLINE float maximum(Floats value) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)value);
#else
  float lanes[LANES];
  store(lanes, value);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
  return lanes[0];
#endif
}

constexpr float ROUNDER = 12582912.0f;  // 1.5 * 2^23: behind its sum with x, the integer nearest to x is in the low bits

// value * 2^n for shifted = n + ROUNDER.
INLINE Floats times_power_of_two(Floats value, Floats shifted) {
  return value * (Floats)(((Ints)shifted - (0x4b400000 - 127)) << 23);
}

// exp to 2 units in the last place between -80 and 80, constant outside; NaN of NaN. Nearer to the ends of fp32 the
// products that follow would be denormal, which is slow.
INLINE Floats exponential(Floats x) {
  x = -maximum(broadcast(-80.0f), -maximum(broadcast(-80.0f), x));
  const Floats shifted = x * 1.44269504f + ROUNDER, n = shifted - ROUNDER;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return times_power_of_two(p, shifted);
}

// Drop decides element by element, as a pure function of key and index: see dropout.cpp and `reference_keep`.
struct Drop {
  uint32_t low, high, threshold;
  float scale;  // 1/(1-p); threshold 0 and scale 1 keep everything
};

INLINE Words lane_numbers() {
  Words numbers;
  for (int i = 0; i < LANES; i++) numbers[i] = (uint32_t)i;
  return numbers;
}

INLINE Floats drop(Floats value, uint32_t first_index, const Drop& d) {
  Words x = lane_numbers() + (first_index + d.low);
  x ^= x >> 16;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0xd35a2d97u;
  x ^= x >> 15;
  x ^= d.high;
  x *= 0x21f0aaadu;
  x ^= x >> 15;
  x *= 0xd35a2d97u;
  x ^= x >> 15;
  return x >= d.threshold ? value * d.scale : Floats{};
}

INLINE Drop make_drop(const DropoutKey& key) {
  if (key.p == 0) return {0, 0, 0, 1.0f};
  return {(uint32_t)key.seed, (uint32_t)((uint64_t)key.seed >> 32), (uint32_t)(key.p * 4294967296.0),
          (float)(1.0 / (1.0 - key.p))};
}

INLINE Floats maybe_drop(Floats value, int64_t index, const Drop& d) {
  return d.threshold ? drop(value, (uint32_t)index, d) : value;
}
