// Group normalisation. Twin of kernel.rs and statistics.rs: the sums of norm/mod.rs in the same order.

// Mirrors `NormSpec` in norm/cuda.rs.
struct NormSpec {
    int channels, groups;
    float eps;
    int relu;
};

const int RUN = 256;

__device__ __forceinline__ int runs_of(const Item &item) {
    return (item.in_height * item.in_width + RUN - 1) / RUN;
}

// Four neighbouring threads take the four partial sums of one run of one channel. Without `mean`: the
// sum of x. With it: the sums of x - mean and of its square.
extern "C" __global__ void __launch_bounds__(256)
    norm_sums(const __grid_constant__ Items items, const __grid_constant__ NormSpec spec,
              const float *mean, float *sums, float *squares) {
    const int which = item_of(items, blockIdx.x);
    const Item &item = items.item[which];
    const int runs = runs_of(item), pixels = item.in_height * item.in_width;
    const int index = (blockIdx.x - item.first) * 64 + threadIdx.x / 4, partial = threadIdx.x % 4;
    const int channel = index / runs, start = index % runs * RUN;
    float sum = 0.0f, square = 0.0f;
    if (channel < spec.channels) {
        const float *plane = item.output + (size_t)channel * plane_of(item.in_height, item.in_width);
        const int end = start + RUN < pixels ? start + RUN : pixels;
        const float centre = mean ? mean[which * spec.channels + channel] : 0.0f;
        for (int p = start + partial; p < end; p += 4) {
            if (mean) {
                const float d = sub(plane[p], centre);
                sum = add(sum, d);
                square = fused(d, d, square);
            } else {
                sum = add(sum, plane[p]);
            }
        }
    }
    __shared__ float partials[2][256];
    partials[0][threadIdx.x] = sum;
    partials[1][threadIdx.x] = square;
    __syncthreads();
    if (partial == 0 && channel < spec.channels) {
        const float *s = partials[0] + threadIdx.x, *q = partials[1] + threadIdx.x;
        sums[item.scratch + index] = add(add(s[0], s[2]), add(s[1], s[3]));
        if (mean) squares[item.scratch + index] = add(add(q[0], q[2]), add(q[1], q[3]));
    }
}

// A channel's runs, added in increasing order to +0.
__device__ __forceinline__ float total_of(const float *sums, int count) {
    float total = 0.0f;
    for (int i = 0; i < count; ++i) total = add(total, sums[i]);
    return total;
}

__device__ __forceinline__ float values_of_group(const Item &item, const NormSpec &spec) {
    return (float)((long long)(spec.channels / spec.groups) * item.in_height * item.in_width);
}

// A block per map: the mean of each channel's group. `totals` has one value per channel and map.
extern "C" __global__ void __launch_bounds__(256)
    norm_mean(const __grid_constant__ Items items, const __grid_constant__ NormSpec spec,
              const float *sums, float *totals, float *mean) {
    const Item &item = items.item[blockIdx.x];
    const int runs = runs_of(item), own = blockIdx.x * spec.channels;
    for (int c = threadIdx.x; c < spec.channels; c += 256)
        totals[own + c] = total_of(sums + item.scratch + (size_t)c * runs, runs);
    __syncthreads();
    const int channels = spec.channels / spec.groups;
    for (int c = threadIdx.x; c < spec.channels; c += 256)
        mean[own + c] = quotient(total_of(totals + own + c / channels * channels, channels),
                                 values_of_group(item, spec));
}

// A block per map: each channel's scale and shift. `totals` has two values per channel and map.
extern "C" __global__ void __launch_bounds__(256)
    norm_affine(const __grid_constant__ Items items, const __grid_constant__ NormSpec spec,
                const float *sums, const float *squares, const float *gamma, const float *beta,
                float *totals, float *scale, float *shift) {
    const Item &item = items.item[blockIdx.x];
    const int runs = runs_of(item), own = blockIdx.x * spec.channels;
    float *centred = totals + 2 * own, *squared = centred + spec.channels;
    for (int c = threadIdx.x; c < spec.channels; c += 256) {
        centred[c] = total_of(sums + item.scratch + (size_t)c * runs, runs);
        squared[c] = total_of(squares + item.scratch + (size_t)c * runs, runs);
    }
    __syncthreads();
    const int channels = spec.channels / spec.groups;
    const float n = values_of_group(item, spec);
    for (int c = threadIdx.x; c < spec.channels; c += 256) {
        const int first = c / channels * channels;
        const float sum = total_of(centred + first, channels);
        const float rest = quotient(sum, n);
        float variance = quotient(sub(total_of(squared + first, channels), mul(sum, rest)), n);
        variance = variance < 0.0f ? 0.0f : variance;
        const float rstd = quotient(1.0f, __fsqrt_rn(add(variance, spec.eps)));
        scale[own + c] = mul(gamma[c], rstd);
        shift[own + c] = fused(-rest, scale[own + c], beta[c]);
    }
}

// Normalises in place.
extern "C" __global__ void __launch_bounds__(256)
    norm_apply(const __grid_constant__ Items items, const __grid_constant__ NormSpec spec,
               const float *mean, const float *scale, const float *shift) {
    const int which = item_of(items, blockIdx.x), channel = blockIdx.y;
    const Item &item = items.item[which];
    const int pixel = (blockIdx.x - item.first) * 256 + threadIdx.x;
    if (pixel >= item.in_height * item.in_width) return;
    const int own = which * spec.channels + channel;
    float *at = item.output + (size_t)channel * plane_of(item.in_height, item.in_width) + pixel;
    const float y = fused(sub(*at, mean[own]), scale[own], shift[own]);
    *at = spec.relu ? relu_of(y) : y;
}
