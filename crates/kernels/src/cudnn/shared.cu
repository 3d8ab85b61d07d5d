// What the layers of all formats share.

// Mirrors `PoolSpec` in cudnn/layers.rs.
struct PoolSpec {
    int kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x;
};

// Mirrors `NormSpec` in cudnn/group_norm.rs.
struct NormSpec {
    int channels, groups, vectors;
    float eps;
    int relu;
};

__device__ __forceinline__ int nearest(int i, int coarse, int fine) {
    const float scale = quotient((float)coarse, (float)fine);
    const int source = (int)mul((float)i, scale);
    return source < coarse ? source : coarse - 1;
}

// Pixels that one thread sums for group normalisation.
const int STRIP = 16;

__device__ __forceinline__ int pixels_of(int strip, int pixels) {
    return pixels - strip * STRIP < STRIP ? pixels - strip * STRIP : STRIP;
}

// The sum over all threads of a block, in a fixed tree; each gets it.
__device__ __forceinline__ float sum_over_block(float own, float *shared) {
    __syncthreads();
    shared[threadIdx.x] = own;
    for (int half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) shared[threadIdx.x] = add(shared[threadIdx.x], shared[threadIdx.x + half]);
    }
    __syncthreads();
    return shared[0];
}

// A block per map and group: each channel's scale and shift, from the strips' means and squares.
extern "C" __global__ void __launch_bounds__(256)
    norm_groups(const __grid_constant__ Items items, const __grid_constant__ NormSpec spec,
                const float *means, const float *squares, const float *gamma, const float *beta,
                float *scale, float *shift) {
    __shared__ float shared[256];
    const Item &item = items.item[blockIdx.x];
    const int pixels = item.in_height * item.in_width, channels = spec.channels / spec.groups;
    const int first = blockIdx.y * channels, count = (pixels + STRIP - 1) / STRIP * channels;
    const float n = (float)((long long)channels * pixels);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < count; i += 256) {
        const int strip = i / channels;
        const size_t from = item.scratch + (size_t)strip * spec.channels + first + i % channels;
        sum = fused((float)pixels_of(strip, pixels), means[from], sum);
    }
    const float mean = quotient(sum_over_block(sum, shared), n);
    sum = 0.0f;
    for (int i = threadIdx.x; i < count; i += 256) {
        const int strip = i / channels;
        const size_t from = item.scratch + (size_t)strip * spec.channels + first + i % channels;
        const float d = sub(means[from], mean);
        sum = add(sum, fused(mul((float)pixels_of(strip, pixels), d), d, squares[from]));
    }
    float variance = quotient(sum_over_block(sum, shared), n);
    variance = variance < 0.0f ? 0.0f : variance;
    const float rstd = quotient(1.0f, __fsqrt_rn(add(variance, spec.eps)));
    for (int c = first + threadIdx.x; c < first + channels; c += 256) {
        const int own = blockIdx.x * spec.channels + c;
        scale[own] = mul(gamma[c], rstd);
        shift[own] = fused(-mean, scale[own], beta[c]);
    }
}
