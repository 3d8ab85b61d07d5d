// The number formats of maps, and vectors of them: what the layers' kernels move at a time.

typedef float f32;
struct f16 {
    unsigned short bits;
};
struct bf16 {
    unsigned short bits;
};

__device__ __forceinline__ float value_of(f32 x) { return x; }
__device__ __forceinline__ void put(f32 &to, float x) { to = x; }

__device__ __forceinline__ float value_of(bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }
// Rounds to nearest, ties to even; NaN stays NaN.
__device__ __forceinline__ void put(bf16 &to, float x) {
    const unsigned u = __float_as_uint(x);
    to.bits = x != x ? 0x7fc0 : (unsigned short)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#ifdef __CUDACC__
__device__ __forceinline__ float value_of(f16 x) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
    return value;
}
__device__ __forceinline__ void put(f16 &to, float x) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
}
#else
// The same where there is no PTX.
inline float value_of(f16 x) {
    const unsigned sign = (unsigned)(x.bits & 0x8000) << 16, rest = x.bits & 0x7fff;
    // An f16's bits, thirteen places up, are an f32's with the exponent 112 too small.
    const float magnitude = rest >= 0x7c00 ? __uint_as_float(0x7f800000 | (rest & 0x3ff) << 13)
                                           : __uint_as_float(rest << 13) * 0x1p112f;
    return __uint_as_float(sign | __float_as_uint(magnitude));
}
inline void put(f16 &to, float x) {
    const unsigned u = __float_as_uint(x), sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;
    unsigned bits;
    if (rest > 0x7f800000) {
        bits = 0x7fff;
    } else if (rest >= 0x477ff000) {
        bits = 0x7c00;
    } else if (rest < 0x38800000) {
        // A denormal: the addition rounds to its last place.
        bits = __float_as_uint(__uint_as_float(rest) + 0.5f) - 0x3f000000;
    } else {
        bits = (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13;
    }
    to.bits = (unsigned short)(sign | bits);
}
#endif

// Neighbouring channels of one pixel.
template <class T> struct alignas(16) Vector {
    static const int LANES = 16 / sizeof(T);
    T lane[LANES];
};
