// Nearest-neighbour upsampling, added to the finer map that the output holds. Twin of kernel.rs.

__device__ __forceinline__ int nearest(int i, int coarse, int fine) {
    const float scale = quotient((float)coarse, (float)fine);
    const int source = (int)mul((float)i, scale);
    return source < coarse ? source : coarse - 1;
}

extern "C" __global__ void __launch_bounds__(256) upsample_add(const __grid_constant__ Item item) {
    const int pixel = blockIdx.x * 256 + threadIdx.x, channel = blockIdx.y;
    if (pixel >= item.out_height * item.out_width) return;
    const int y = nearest(pixel / item.out_width, item.in_height, item.out_height);
    const int x = nearest(pixel % item.out_width, item.in_width, item.out_width);
    const size_t from = (size_t)channel * plane_of(item.in_height, item.in_width) + y * item.in_width + x;
    const size_t to = (size_t)channel * plane_of(item.out_height, item.out_width) + pixel;
    item.output[to] = add(item.output[to], item.input[from]);
}
