// A tile of a matrix product, the inner loop of both forms of convolution: each output is one fused
// chain over k in increasing order, from +0. The tile's size decides who computes an output and never
// its bits.

const int DEPTH = 8;

// BM x BN outputs by (BM / TM) * (BN / TN) threads, each with TM x TN of them: groups of four rows
// and four columns that lie BM / (TM / 4) and BN / (TN / 4) apart.
template <int BM, int BN, int TM, int TN> struct Tile {
    static const int THREADS = (BM / TM) * (BN / TN);
    static const int ROW_LANES = BM / TM;
    static const int COLUMN_LANES = BN / TN;

    static __device__ __forceinline__ int row(int thread, int i) {
        return i / 4 * (BM / (TM / 4)) + thread % ROW_LANES * 4 + i % 4;
    }
    static __device__ __forceinline__ int column(int thread, int j) {
        return j / 4 * (BN / (TN / 4)) + thread / ROW_LANES * 4 + j % 4;
    }

    // The row and the first k that a thread fetches.
    static __device__ __forceinline__ int fetched_row(int thread) { return thread % BM; }

    // acc[i][j] += sum over k of a(k, row i) * b[k * columns + first_column + column j].
    // `fetch(k)` is a(k, fetched_row(thread)) for 0 <= k < depth.
    template <class Fetch>
    static __device__ __forceinline__ void multiply(float (&acc)[TM][TN], int depth, const Fetch &fetch,
                                                    const float *__restrict__ b, int columns,
                                                    int first_column) {
        const int A_STEP = THREADS / BM, A_COUNT = DEPTH / A_STEP;
        const int B_STEP = THREADS / BN, B_COUNT = DEPTH / B_STEP;
        __shared__ float4 as[2][DEPTH][BM / 4];
        __shared__ float4 bs[2][DEPTH][BN / 4];
        const int thread = threadIdx.x;
        const int a_row = thread % BM, a_k = thread / BM;
        const int b_column = thread % BN, b_k = thread / BN;
        const bool b_inside = first_column + b_column < columns;
        const float *b_at = b + first_column + b_column;

        float a_next[A_COUNT], b_next[B_COUNT];
        int stage = 0;
        for (int k0 = -DEPTH; k0 < depth; k0 += DEPTH) {
            const int next = k0 + DEPTH;
            if (next < depth) {
#pragma unroll
                for (int i = 0; i < A_COUNT; ++i) {
                    const int k = next + a_k + i * A_STEP;
                    a_next[i] = k < depth ? fetch(k) : 0.0f;
                }
#pragma unroll
                for (int i = 0; i < B_COUNT; ++i) {
                    const int k = next + b_k + i * B_STEP;
                    b_next[i] = k < depth && b_inside ? b_at[(size_t)k * columns] : 0.0f;
                }
            }
            if (next > 0) {
                // Steps past the end are left out: one more product of zeros would turn -0 into +0.
                if (next <= depth) {
#pragma unroll
                    for (int k = 0; k < DEPTH; ++k) step(acc, as[stage][k], bs[stage][k], thread);
                } else {
                    for (int k = 0; k < depth - k0; ++k) step(acc, as[stage][k], bs[stage][k], thread);
                }
                stage ^= 1;
            }
            if (next < depth) {
                float *a_to = (float *)as[stage], *b_to = (float *)bs[stage];
#pragma unroll
                for (int i = 0; i < A_COUNT; ++i) a_to[(a_k + i * A_STEP) * BM + a_row] = a_next[i];
#pragma unroll
                for (int i = 0; i < B_COUNT; ++i) b_to[(b_k + i * B_STEP) * BN + b_column] = b_next[i];
            }
            __syncthreads();
        }
    }

    static __device__ __forceinline__ void step(float (&acc)[TM][TN], const float4 *as, const float4 *bs,
                                                int thread) {
        float a[TM], b[TN];
#pragma unroll
        for (int i = 0; i < TM; i += 4) {
            const float4 four = as[row(thread, i) / 4];
            a[i] = four.x, a[i + 1] = four.y, a[i + 2] = four.z, a[i + 3] = four.w;
        }
#pragma unroll
        for (int j = 0; j < TN; j += 4) {
            const float4 four = bs[column(thread, j) / 4];
            b[j] = four.x, b[j + 1] = four.y, b[j + 2] = four.z, b[j + 3] = four.w;
        }
#pragma unroll
        for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < TN; ++j) acc[i][j] = fused(a[i], b[j], acc[i][j]);
    }
};

typedef Tile<128, 128, 8, 8> Large;
typedef Tile<64, 64, 4, 4> Medium;
typedef Tile<32, 32, 4, 4> Small;
