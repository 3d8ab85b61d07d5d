// The layers between convolutions. Maps are (y, x, channel) of FORMAT, which stands for f32, f16 and
// bf16 in turn; their channels are whole vectors, padded with zeros. A launch's units are blocks.

// Between the maps of the other kernels, f32 in planes, and these.
extern "C" __global__ void __launch_bounds__(256)
    enter_FORMAT(const __grid_constant__ Items items, int channels, int vectors) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int index = (blockIdx.x - item.first) * 256 + threadIdx.x;
    if (index >= item.in_height * item.in_width * vectors) return;
    const int pixel = index / vectors, first = index % vectors * Vector<FORMAT>::LANES;
    const int plane = plane_of(item.in_height, item.in_width);
    Vector<FORMAT> values;
    for (int i = 0; i < Vector<FORMAT>::LANES; ++i) {
        const int channel = first + i;
        put(values.lane[i], channel < channels ? item.input[(size_t)channel * plane + pixel] : 0.0f);
    }
    ((Vector<FORMAT> *)item.output)[index] = values;
}

// A block takes 32 pixels by 32 channels, so that both sides are read and written in runs.
extern "C" __global__ void __launch_bounds__(256)
    leave_FORMAT(const __grid_constant__ Items items, int channels, int vectors) {
    __shared__ float tile[32][33];
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int pixels = item.in_height * item.in_width, padded = vectors * Vector<FORMAT>::LANES;
    const int first_pixel = (blockIdx.x - item.first) * 32, first_channel = blockIdx.y * 32;
    const int row = threadIdx.x / 32, column = threadIdx.x % 32;
    for (int i = row; i < 32; i += 8) {
        const int pixel = first_pixel + i, channel = first_channel + column;
        if (pixel < pixels && channel < channels)
            tile[i][column] = value_of(((const FORMAT *)item.input)[(size_t)pixel * padded + channel]);
    }
    __syncthreads();
    const int plane = plane_of(item.in_height, item.in_width);
    for (int i = row; i < 32; i += 8) {
        const int pixel = first_pixel + column, channel = first_channel + i;
        if (pixel < pixels && channel < channels)
            item.output[(size_t)channel * plane + pixel] = tile[column][i];
    }
}

extern "C" __global__ void __launch_bounds__(256)
    max_pool_FORMAT(const __grid_constant__ Items items, const __grid_constant__ PoolSpec spec,
                    int vectors) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int index = (blockIdx.x - item.first) * 256 + threadIdx.x;
    if (index >= item.out_height * item.out_width * vectors) return;
    const int pixel = index / vectors, vector = index % vectors;
    const int top = pixel / item.out_width * spec.stride_y - spec.pad_y;
    const int left = pixel % item.out_width * spec.stride_x - spec.pad_x;
    float best[Vector<FORMAT>::LANES];
    for (int i = 0; i < Vector<FORMAT>::LANES; ++i) best[i] = -__int_as_float(0x7f800000);
    for (int ky = 0; ky < spec.kernel_y; ++ky) {
        const int y = top + ky;
        if (y < 0 || y >= item.in_height) continue;
        for (int kx = 0; kx < spec.kernel_x; ++kx) {
            const int x = left + kx;
            if (x < 0 || x >= item.in_width) continue;
            const Vector<FORMAT> values =
                ((const Vector<FORMAT> *)item.input)[((size_t)y * item.in_width + x) * vectors + vector];
            for (int i = 0; i < Vector<FORMAT>::LANES; ++i) {
                const float v = value_of(values.lane[i]);
                best[i] = v > best[i] || v != v ? v : best[i];
            }
        }
    }
    Vector<FORMAT> values;
    for (int i = 0; i < Vector<FORMAT>::LANES; ++i) put(values.lane[i], best[i]);
    ((Vector<FORMAT> *)item.output)[index] = values;
}

extern "C" __global__ void __launch_bounds__(256)
    relu_FORMAT(const __grid_constant__ Items items, int vectors) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int index = (blockIdx.x - item.first) * 256 + threadIdx.x;
    if (index >= item.in_height * item.in_width * vectors) return;
    Vector<FORMAT> values = ((const Vector<FORMAT> *)item.input)[index];
    for (int i = 0; i < Vector<FORMAT>::LANES; ++i)
        put(values.lane[i], relu_of(value_of(values.lane[i])));
    ((Vector<FORMAT> *)item.output)[index] = values;
}

// Adds the nearest values of the coarser input to the finer output.
extern "C" __global__ void __launch_bounds__(256)
    upsample_add_FORMAT(const __grid_constant__ Items items, int vectors) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int index = (blockIdx.x - item.first) * 256 + threadIdx.x;
    if (index >= item.out_height * item.out_width * vectors) return;
    const int pixel = index / vectors, vector = index % vectors;
    const int y = nearest(pixel / item.out_width, item.in_height, item.out_height);
    const int x = nearest(pixel % item.out_width, item.in_width, item.out_width);
    const Vector<FORMAT> from =
        ((const Vector<FORMAT> *)item.input)[((size_t)y * item.in_width + x) * vectors + vector];
    Vector<FORMAT> values = ((const Vector<FORMAT> *)item.output)[index];
    for (int i = 0; i < Vector<FORMAT>::LANES; ++i)
        put(values.lane[i], add(value_of(values.lane[i]), value_of(from.lane[i])));
    ((Vector<FORMAT> *)item.output)[index] = values;
}

// What follows a convolution that cuDNN computes without it: bias, residual and ReLU, in place.
extern "C" __global__ void __launch_bounds__(256)
    finish_FORMAT(const __grid_constant__ Items items, int vectors, const Vector<FORMAT> *bias, int relu) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int index = (blockIdx.x - item.first) * 256 + threadIdx.x;
    if (index >= item.out_height * item.out_width * vectors) return;
    Vector<FORMAT> values = ((const Vector<FORMAT> *)item.output)[index];
    const Vector<FORMAT> own = bias[index % vectors];
    for (int i = 0; i < Vector<FORMAT>::LANES; ++i) {
        float sum = add(value_of(values.lane[i]), value_of(own.lane[i]));
        if (item.residual)
            sum = add(sum, value_of(((const Vector<FORMAT> *)item.residual)[index].lane[i]));
        put(values.lane[i], relu ? relu_of(sum) : sum);
    }
    ((Vector<FORMAT> *)item.output)[index] = values;
}

// The mean of each channel over each strip of pixels, and the sum of squares around it, from the first
// value on, so that little is lost where values are far from zero. A thread takes a vector's channels.
extern "C" __global__ void __launch_bounds__(256)
    norm_strips_FORMAT(const __grid_constant__ Items items, const __grid_constant__ NormSpec spec,
                       float *means, float *squares) {
    const Item &item = items.item[item_of(items, blockIdx.x)];
    const int pixels = item.in_height * item.in_width;
    const int index = (blockIdx.x - item.first) * 256 + threadIdx.x;
    const int strip = index / spec.vectors, vector = index % spec.vectors;
    if (strip >= (pixels + STRIP - 1) / STRIP) return;
    const int count = pixels_of(strip, pixels);
    const Vector<FORMAT> *at = (const Vector<FORMAT> *)item.output + (size_t)strip * STRIP * spec.vectors + vector;
    float origin[Vector<FORMAT>::LANES], sum[Vector<FORMAT>::LANES], square[Vector<FORMAT>::LANES];
    for (int p = 0; p < count; ++p) {
        const Vector<FORMAT> values = at[(size_t)p * spec.vectors];
        for (int i = 0; i < Vector<FORMAT>::LANES; ++i) {
            const float value = value_of(values.lane[i]);
            if (p == 0) {
                origin[i] = value;
                sum[i] = 0.0f;
                square[i] = 0.0f;
            }
            const float d = sub(value, origin[i]);
            sum[i] = add(sum[i], d);
            square[i] = fused(d, d, square[i]);
        }
    }
    for (int i = 0; i < Vector<FORMAT>::LANES; ++i) {
        const int channel = vector * Vector<FORMAT>::LANES + i;
        if (channel >= spec.channels) break;
        const float offset = quotient(sum[i], (float)count);
        const size_t to = item.scratch + (size_t)strip * spec.channels + channel;
        means[to] = add(origin[i], offset);
        squares[to] = fused(-sum[i], offset, square[i]);
    }
}

// Scales and shifts in place, and applies ReLU; the padding stays zero.
extern "C" __global__ void __launch_bounds__(256)
    norm_apply_FORMAT(const __grid_constant__ Items items, const __grid_constant__ NormSpec spec,
                      const float *scale, const float *shift) {
    const int which = item_of(items, blockIdx.x);
    const Item &item = items.item[which];
    const int index = (blockIdx.x - item.first) * 256 + threadIdx.x;
    if (index >= item.in_height * item.in_width * spec.vectors) return;
    const int first = index % spec.vectors * Vector<FORMAT>::LANES;
    Vector<FORMAT> values = ((const Vector<FORMAT> *)item.output)[index];
    for (int i = 0; i < Vector<FORMAT>::LANES && first + i < spec.channels; ++i) {
        const int own = which * spec.channels + first + i;
        const float y = fused(value_of(values.lane[i]), scale[own], shift[own]);
        put(values.lane[i], spec.relu ? relu_of(y) : y);
    }
    ((Vector<FORMAT> *)item.output)[index] = values;
}
