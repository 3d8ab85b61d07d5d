// Functions of single values. Twin of scalar.rs.

__device__ __forceinline__ float power_of_two(float n) {
    return __uint_as_float(__float_as_uint(add(n, 12583039.0f)) << 23);
}

__device__ __forceinline__ float exp_of(float x) {
    const float rounder = 12582912.0f, ln2 = __int_as_float(0x3f317218), lost_ln2 = __int_as_float(0xb102e308);
    x = 89.0f < x ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;

    const float n = sub(add(mul(x, __int_as_float(0x3fb8aa3b)), rounder), rounder);
    const float near = fused(n, -ln2, x);
    const float r = fused(n, -lost_ln2, near);
    const float lost = fused(n, -lost_ln2, sub(near, r));

    float p = __int_as_float(0x394f0478);
    p = fused(p, r, __int_as_float(0x3ab6a65d));
    p = fused(p, r, __int_as_float(0x3c088984));
    p = fused(p, r, __int_as_float(0x3d2aaa74));
    p = fused(p, r, __int_as_float(0x3e2aaaaa));
    p = fused(p, r, 0.5f);
    const float small = fused(mul(r, r), p, lost);
    const float sum = add(r, small);
    const float sum_lost = sub(small, sub(sum, r));
    float y = add(1.0f, sum);
    const float y_lost = sub(sum, sub(y, 1.0f));
    y = add(y, add(y_lost, sum_lost));

    const float half = sub(add(mul(n, 0.5f), rounder), rounder);
    return mul(mul(y, power_of_two(half)), power_of_two(sub(n, half)));
}

__device__ __forceinline__ float sigmoid_of(float x) {
    return quotient(1.0f, add(1.0f, exp_of(sub(0.0f, x))));
}

// 0: relu, 1: exp, 2: sigmoid.
extern "C" __global__ void __launch_bounds__(256)
    pointwise(int function, int count, const float *input, float *output) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= count) return;
    const float x = input[i];
    output[i] = function == 0 ? relu_of(x) : function == 1 ? exp_of(x) : sigmoid_of(x);
}
