// Winograd's F(4x4, 3x3). Twin of winograd.rs: the same transforms, the same chain over the input
// channels at each of the 36 points.

// Mirrors `WinogradSpec` in conv2d/cuda.rs.
struct WinogradSpec {
    int in_channels, out_channels;
    // Weights are (point, input channel, columns), columns >= out_channels.
    int columns;
    int pad_y, pad_x;
    int relu;
    // Tiles of this launch: from `first_tile` on, `tiles` of them, in rows of `padded` (a multiple of 4).
    int first_tile, tiles, padded;
};

__device__ __forceinline__ void input_1d(const float *d, int stride, float *out) {
    const float d0 = d[0], d1 = d[stride], d2 = d[2 * stride];
    const float d3 = d[3 * stride], d4 = d[4 * stride], d5 = d[5 * stride];
    const float t = sub(d1, d3), u = sub(d4, d2);
    out[0] = fused(1.5f, t, fused(-2.0f, d2, add(d0, d4)));
    out[1] = fused(-0.5f, d3, fused(-2.5f, d2, sub(d4, d1)));
    out[2] = fused(-2.5f, d3, fused(0.5f, d2, add(d4, d1)));
    out[3] = fused(-0.5f, t, u);
    out[4] = fused(2.0f, t, u);
    out[5] = fused(-1.5f, u, fused(-2.0f, d3, add(d1, d5)));
}

__device__ __forceinline__ void output_1d(const float *m, int stride, float *out) {
    const float m0 = m[0], m1 = m[stride], m2 = m[2 * stride];
    const float m3 = m[3 * stride], m4 = m[4 * stride], m5 = m[5 * stride];
    const float sum = add(m1, m2), difference = sub(m1, m2);
    out[0] = add(add(add(m0, sum), m3), m4);
    out[1] = fused(-0.5f, m4, fused(2.0f, m3, difference));
    out[2] = fused(0.25f, m4, fused(4.0f, m3, sum));
    out[3] = add(fused(-0.125f, m4, fused(8.0f, m3, difference)), m5);
}

// A thread transforms the 6x6 patch under one tile of one channel into (point, channel, tile).
extern "C" __global__ void __launch_bounds__(128)
    winograd_input(const __grid_constant__ Items items, const __grid_constant__ WinogradSpec spec,
                   float *transformed) {
    const int column = blockIdx.x * 128 + threadIdx.x, channel = blockIdx.y;
    if (column >= spec.tiles) return;
    const int tile = spec.first_tile + column;
    const Item &item = items.item[item_of(items, tile)];
    const int across = (item.out_width + 3) / 4;
    const int top = (tile - item.first) / across * 4 - spec.pad_y;
    const int left = (tile - item.first) % across * 4 - spec.pad_x;
    const float *plane = item.input + (size_t)channel * plane_of(item.in_height, item.in_width);

    float patch[36], columns[36];
#pragma unroll
    for (int y = 0; y < 6; ++y)
#pragma unroll
        for (int x = 0; x < 6; ++x) {
            const int py = top + y, px = left + x;
            const bool inside = py >= 0 && py < item.in_height && px >= 0 && px < item.in_width;
            patch[y * 6 + x] = inside ? plane[py * item.in_width + px] : 0.0f;
        }
    // Along y, then along x. columns[x] holds the six values of column x.
#pragma unroll
    for (int x = 0; x < 6; ++x) input_1d(patch + x, 6, columns + x * 6);
    const size_t stride = (size_t)spec.in_channels * spec.padded;
    float *out = transformed + (size_t)channel * spec.padded + column;
#pragma unroll
    for (int y = 0; y < 6; ++y) {
        float row[6];
        input_1d(columns + y, 6, row);
#pragma unroll
        for (int x = 0; x < 6; ++x) out[(y * 6 + x) * stride] = row[x];
    }
}

// One tile's transformed values at one point.
struct Transformed {
    const float *values;
    int padded;
    bool inside;
    __device__ __forceinline__ float operator()(int k) const {
        return inside ? values[(size_t)k * padded] : 0.0f;
    }
};

// (point, output channel, tile) = sum over the input channels.
template <class T, int BM, int BN, int TM, int TN>
__device__ __forceinline__ void winograd_multiply(const WinogradSpec &spec, const float *transformed,
                                                  const float *weights, float *sums) {
    const int thread = threadIdx.x, point = blockIdx.z;
    const int first_tile = blockIdx.x * BM, first_column = blockIdx.y * BN;
    const int tile = first_tile + T::fetched_row(thread);
    Transformed fetch;
    fetch.values = transformed + (size_t)point * spec.in_channels * spec.padded + tile;
    fetch.padded = spec.padded;
    fetch.inside = tile < spec.tiles;

    float acc[TM][TN] = {};
    const float *b = weights + (size_t)point * spec.in_channels * spec.columns;
    T::multiply(acc, spec.in_channels, fetch, b, spec.columns, first_column);

    float *out = sums + (size_t)point * spec.out_channels * spec.padded;
#pragma unroll
    for (int j = 0; j < TN; ++j) {
        const int n = first_column + T::column(thread, j);
        if (n >= spec.out_channels) continue;
#pragma unroll
        for (int i = 0; i < TM; i += 4) {
            const int m = first_tile + T::row(thread, i);
            if (m < spec.padded)
                *(float4 *)(out + (size_t)n * spec.padded + m) =
                    make_float4(acc[i][j], acc[i + 1][j], acc[i + 2][j], acc[i + 3][j]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
    winograd_multiply_large(const __grid_constant__ WinogradSpec spec, const float *transformed,
                            const float *weights, float *sums) {
    winograd_multiply<Large, 128, 128, 8, 8>(spec, transformed, weights, sums);
}

extern "C" __global__ void __launch_bounds__(256)
    winograd_multiply_medium(const __grid_constant__ WinogradSpec spec, const float *transformed,
                             const float *weights, float *sums) {
    winograd_multiply<Medium, 64, 64, 4, 4>(spec, transformed, weights, sums);
}

extern "C" __global__ void __launch_bounds__(64)
    winograd_multiply_small(const __grid_constant__ WinogradSpec spec, const float *transformed,
                            const float *weights, float *sums) {
    winograd_multiply<Small, 32, 32, 4, 4>(spec, transformed, weights, sums);
}

// A thread transforms the 36 sums of one tile of one output channel into up to 4x4 outputs.
extern "C" __global__ void __launch_bounds__(128)
    winograd_output(const __grid_constant__ Items items, const __grid_constant__ WinogradSpec spec,
                    const float *sums, const float *bias) {
    const int column = blockIdx.x * 128 + threadIdx.x, channel = blockIdx.y;
    if (column >= spec.tiles) return;
    const int tile = spec.first_tile + column;
    const Item &item = items.item[item_of(items, tile)];
    const int across = (item.out_width + 3) / 4;
    const int top = (tile - item.first) / across * 4, left = (tile - item.first) % across * 4;

    float points[36], columns[24];
    const size_t stride = (size_t)spec.out_channels * spec.padded;
    const float *in = sums + (size_t)channel * spec.padded + column;
#pragma unroll
    for (int p = 0; p < 36; ++p) points[p] = in[p * stride];
    // Along y, then along x. columns[x] holds the four values of column x.
#pragma unroll
    for (int x = 0; x < 6; ++x) output_1d(points + x, 6, columns + x * 4);
    const size_t plane = (size_t)channel * plane_of(item.out_height, item.out_width);
#pragma unroll
    for (int y = 0; y < 4; ++y) {
        float row[4];
        output_1d(columns + y, 4, row);
        if (top + y >= item.out_height) continue;
#pragma unroll
        for (int x = 0; x < 4; ++x) {
            if (left + x >= item.out_width) continue;
            const size_t at = plane + (size_t)(top + y) * item.out_width + left + x;
            float v = row[x];
            if (bias) v = add(v, bias[channel]);
            if (item.residual) v = add(v, item.residual[at]);
            if (spec.relu) v = relu_of(v);
            item.output[at] = v;
        }
    }
}
