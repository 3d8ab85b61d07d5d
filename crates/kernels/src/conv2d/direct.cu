// Direct convolution as an implicit matrix product over k = (input channel, ky, kx). Twin of direct.rs
// and pointwise.rs.

// Mirrors `DirectSpec` in conv2d/cuda.rs.
struct DirectSpec {
    // Input channels x kernel height x kernel width.
    int depth;
    int out_channels;
    // Weights are (depth, columns), columns >= out_channels.
    int columns;
    int stride_y, stride_x, pad_y, pad_x;
    int relu;
    // 1x1, stride 1, no padding: k is the channel, and output pixel m lies where input pixel m does.
    int pointwise;
};

// One pixel's column of the unrolled input.
struct Unrolled {
    const float *input;
    const int *taps;
    int plane, height, width;
    // The window's corner, which may lie outside; for a pointwise convolution, the pixel.
    int y, x;
    bool inside, pointwise;

    __device__ __forceinline__ float operator()(int k) const {
        if (!inside) return 0.0f;
        if (pointwise) return input[(size_t)k * plane + x];
        const int channel = taps[2 * k], offset = taps[2 * k + 1];
        const int ty = y + (offset >> 16), tx = x + (offset & 0xffff);
        // Padding takes part as +0.
        if (ty < 0 || ty >= height || tx < 0 || tx >= width) return 0.0f;
        return input[(size_t)channel * plane + ty * width + tx];
    }
};

template <class T, int BM, int BN, int TM, int TN>
__device__ __forceinline__ void direct(const Items &items, const DirectSpec &spec, const int *taps,
                                       const float *weights, const float *bias) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int thread = threadIdx.x;
    const int first_pixel = (blockIdx.x - item.first) * BM, first_column = blockIdx.y * BN;
    const int out_plane = plane_of(item.out_height, item.out_width);

    const int pixel = first_pixel + T::fetched_row(thread);
    Unrolled fetch;
    fetch.input = item.input;
    fetch.taps = taps;
    fetch.height = item.in_height;
    fetch.width = item.in_width;
    fetch.plane = plane_of(item.in_height, item.in_width);
    fetch.inside = pixel < item.out_height * item.out_width;
    fetch.pointwise = spec.pointwise;
    fetch.y = pixel / item.out_width * spec.stride_y - spec.pad_y;
    fetch.x = spec.pointwise ? pixel : pixel % item.out_width * spec.stride_x - spec.pad_x;

    float acc[TM][TN] = {};
    T::multiply(acc, spec.depth, fetch, weights, spec.columns, first_column);

#pragma unroll
    for (int j = 0; j < TN; ++j) {
        const int n = first_column + T::column(thread, j);
        if (n >= spec.out_channels) continue;
#pragma unroll
        for (int i = 0; i < TM; i += 4) {
            const int m = first_pixel + T::row(thread, i);
            if (m >= out_plane) continue;
            const size_t at = (size_t)n * out_plane + m;
            float v[4];
#pragma unroll
            for (int e = 0; e < 4; ++e) v[e] = bias ? add(acc[i + e][j], bias[n]) : acc[i + e][j];
            if (item.residual) {
                const float4 r = *(const float4 *)(item.residual + at);
                v[0] = add(v[0], r.x), v[1] = add(v[1], r.y), v[2] = add(v[2], r.z), v[3] = add(v[3], r.w);
            }
            if (spec.relu)
#pragma unroll
                for (int e = 0; e < 4; ++e) v[e] = relu_of(v[e]);
            *(float4 *)(item.output + at) = make_float4(v[0], v[1], v[2], v[3]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    direct_large(const __grid_constant__ Items items, const __grid_constant__ DirectSpec spec,
                 const int *taps, const float *weights, const float *bias) {
    direct<Large, 128, 128, 8, 8>(items, spec, taps, weights, bias);
}

extern "C" __global__ void __launch_bounds__(256)
    direct_medium(const __grid_constant__ Items items, const __grid_constant__ DirectSpec spec,
                  const int *taps, const float *weights, const float *bias) {
    direct<Medium, 64, 64, 4, 4>(items, spec, taps, weights, bias);
}

extern "C" __global__ void __launch_bounds__(64)
    direct_small(const __grid_constant__ Items items, const __grid_constant__ DirectSpec spec,
                 const int *taps, const float *weights, const float *bias) {
    direct<Small, 32, 32, 4, 4>(items, spec, taps, weights, bias);
}
