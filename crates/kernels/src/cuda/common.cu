// What every kernel keeps to (see the crate's `contract`): an output is one thread's chain of IEEE
// operations in the order of its CPU twin, each rounded once to nearest; nothing is summed across
// threads, added atomically or fused by the compiler's choice.

// Maps are planes of (y, x), one a channel, each padded to a multiple of four values, so that four
// neighbours can be moved together. What the padding holds is nobody's value.
__device__ __forceinline__ int plane_of(int height, int width) { return (height * width + 3) / 4 * 4; }

__device__ __forceinline__ float add(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ float sub(float a, float b) { return __fsub_rn(a, b); }
__device__ __forceinline__ float mul(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ float quotient(float a, float b) { return __fdiv_rn(a, b); }
__device__ __forceinline__ float fused(float a, float b, float c) { return __fmaf_rn(a, b, c); }

// Compare and select: -0 and NaN stay.
__device__ __forceinline__ float relu_of(float x) { return x < 0.0f ? 0.0f : x; }

// One map of a launch. Mirrors `Item` in cuda/items.rs.
struct Item {
    const float *input;
    const float *residual;
    float *output;
    int in_height, in_width, out_height, out_width;
    // The first of the launch's units (blocks or tiles) that is this map's.
    int first;
    // Where this map's scratch values begin.
    int scratch;
};

// All maps of a launch. Mirrors `Items` in cuda/items.rs.
struct Items {
    Item item[16];
    int count;
    int unused;
};

// The map that a unit belongs to.
__device__ __forceinline__ int item_of(const Items &items, int unit) {
    int i = items.count - 1;
    while (i > 0 && items.item[i].first > unit) --i;
    return i;
}
