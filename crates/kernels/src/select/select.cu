// Copies out, in order, the values of some maps that are not finite or not below a bound. Three launches:
// count, place, write. The counts are sums of integers, whose order does not matter.

const int SELECT_THREADS = 256, SELECT_EACH = 16;

__device__ __forceinline__ bool selected(float v, float bound) {
    return !(v >= -__int_as_float(0x7f7fffff) && v < bound);
}

// The inclusive sum of `mine` over the block's threads up to this one.
__device__ __forceinline__ int sum_up_to(int mine) {
    __shared__ int sums[2][SELECT_THREADS];
    const int thread = threadIdx.x;
    int now = 0;
    sums[0][thread] = mine;
    __syncthreads();
    for (int reach = 1; reach < SELECT_THREADS; reach *= 2) {
        const int other = thread >= reach ? sums[now][thread - reach] : 0;
        sums[now ^ 1][thread] = sums[now][thread] + other;
        now ^= 1;
        __syncthreads();
    }
    const int sum = sums[now][thread];
    __syncthreads();
    return sum;
}

// How many of a thread's values are selected; with `to`, they are written from there on, with their
// index in (channel, y, x).
__device__ __forceinline__ int select_some(const Items &items, int channels, float bound,
                                           float *values, unsigned *indices, int to, bool write) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int pixels = item.in_height * item.in_width, plane = plane_of(item.in_height, item.in_width);
    const long long first = ((long long)(blockIdx.x - item.first) * SELECT_THREADS + threadIdx.x) * SELECT_EACH;
    int count = 0;
    for (int i = 0; i < SELECT_EACH; ++i) {
        const long long at = first + i;
        const int channel = (int)(at / plane), pixel = (int)(at % plane);
        if (channel >= channels || pixel >= pixels) continue;
        const float v = item.input[at];
        if (!selected(v, bound)) continue;
        if (write) {
            values[to + count] = v;
            indices[to + count] = (unsigned)channel * (unsigned)pixels + (unsigned)pixel;
        }
        ++count;
    }
    return count;
}

// counts[block] = how many values of this block are selected.
extern "C" __global__ void __launch_bounds__(256)
    select_count(const __grid_constant__ Items items, int channels, float bound, int *counts) {
    const int sum = sum_up_to(select_some(items, channels, bound, 0, 0, 0, false));
    if (threadIdx.x == SELECT_THREADS - 1) counts[blockIdx.x] = sum;
}

// One block: counts[i] becomes the sum of those before it; counts[blocks] the sum of all.
extern "C" __global__ void __launch_bounds__(256) select_place(int blocks, int *counts) {
    int before = 0;
    __shared__ int whole;
    for (int first = 0; first < blocks; first += SELECT_THREADS) {
        const int i = first + threadIdx.x;
        const int mine = i < blocks ? counts[i] : 0;
        const int sum = sum_up_to(mine);
        if (i < blocks) counts[i] = before + sum - mine;
        if (threadIdx.x == SELECT_THREADS - 1) whole = sum;
        __syncthreads();
        before += whole;
        __syncthreads();
    }
    if (threadIdx.x == 0) counts[blocks] = before;
}

extern "C" __global__ void __launch_bounds__(256)
    select_write(const __grid_constant__ Items items, int channels, float bound, const int *starts,
                 float *values, unsigned *indices) {
    const int mine = select_some(items, channels, bound, 0, 0, 0, false);
    const int to = starts[blockIdx.x] + sum_up_to(mine) - mine;
    select_some(items, channels, bound, values, indices, to, true);
}
