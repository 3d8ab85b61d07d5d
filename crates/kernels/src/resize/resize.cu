// Normalise, resize bilinearly, pad. Twin of axis.rs and bilinear.rs.

// Mirrors `ResizeArgs` in resize/cuda.rs.
struct ResizeArgs {
    int source_height, source_width, height, width, padded_height, padded_width;
};

struct Tap {
    int first, second;
    float first_weight, second_weight;
};

__device__ __forceinline__ Tap tap_of(int position, int source, int resized) {
    const float scale = quotient((float)source, (float)resized);
    float centre = sub(mul(add((float)position, 0.5f), scale), 0.5f);
    centre = centre < 0.0f ? 0.0f : centre;
    Tap tap;
    const int last = source - 1;
    tap.first = (int)centre < last ? (int)centre : last;
    tap.second = tap.first + 1 < last ? tap.first + 1 : last;
    const float weight = sub(centre, (float)tap.first);
    tap.second_weight = weight > 1.0f ? 1.0f : weight;
    tap.first_weight = sub(1.0f, tap.second_weight);
    return tap;
}

// `table` holds the 256 normalised values of each channel.
extern "C" __global__ void __launch_bounds__(256)
    resize_normalised(const __grid_constant__ ResizeArgs args, const unsigned char *rgb, const float *table,
                      float *output) {
    const int pixel = blockIdx.x * 256 + threadIdx.x, channel = blockIdx.y;
    if (pixel >= args.padded_height * args.padded_width) return;
    const int y = pixel / args.padded_width, x = pixel % args.padded_width;
    float value = 0.0f;
    if (y < args.height && x < args.width) {
        const Tap v = tap_of(y, args.source_height, args.height), h = tap_of(x, args.source_width, args.width);
        const unsigned char *upper = rgb + (size_t)v.first * args.source_width * 3 + channel;
        const unsigned char *lower = rgb + (size_t)v.second * args.source_width * 3 + channel;
        const float *values = table + channel * 256;
        const float above = add(mul(values[upper[h.first * 3]], h.first_weight),
                                mul(values[upper[h.second * 3]], h.second_weight));
        const float below = add(mul(values[lower[h.first * 3]], h.first_weight),
                                mul(values[lower[h.second * 3]], h.second_weight));
        value = add(mul(above, v.first_weight), mul(below, v.second_weight));
    }
    output[(size_t)channel * plane_of(args.padded_height, args.padded_width) + pixel] = value;
}
