// Max-pooling. Twin of kernel.rs: a thread takes one output's window row by row, left to right.

// Mirrors `PoolSpec` in pool/cuda.rs.
struct PoolSpec {
    int kernel_y, kernel_x, stride_y, stride_x, pad_y, pad_x;
};

extern "C" __global__ void __launch_bounds__(256)
    max_pool(const __grid_constant__ Item item, const __grid_constant__ PoolSpec spec) {
    const int pixel = blockIdx.x * 256 + threadIdx.x, channel = blockIdx.y;
    if (pixel >= item.out_height * item.out_width) return;
    const float *plane = item.input + (size_t)channel * plane_of(item.in_height, item.in_width);
    const int top = pixel / item.out_width * spec.stride_y - spec.pad_y;
    const int left = pixel % item.out_width * spec.stride_x - spec.pad_x;
    float best = -__int_as_float(0x7f800000);
    for (int ky = 0; ky < spec.kernel_y; ++ky) {
        const int y = top + ky;
        if (y < 0 || y >= item.in_height) continue;
        for (int kx = 0; kx < spec.kernel_x; ++kx) {
            const int x = left + kx;
            if (x < 0 || x >= item.in_width) continue;
            const float v = plane[y * item.in_width + x];
            // The first of equal values stays, and NaN goes through.
            best = v > best || v != v ? v : best;
        }
    }
    item.output[(size_t)channel * plane_of(item.out_height, item.out_width) + pixel] = best;
}
