// Enough of CUDA for a C++ compiler to run the kernels' source on a CPU: blocks one after the other, the
// threads of a block as fibers that take turns at __syncthreads(). Memory is filled with NaN and fenced
// by pages that may not be touched.

#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __grid_constant__
#define __shared__ static thread_local

struct alignas(16) float4 {
    float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct Place {
    unsigned x, y, z;
};
static thread_local Place threadIdx, blockIdx;

// The compiler is told not to contract; each of these is one rounded operation.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
template <class To, class From> inline To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline float __int_as_float(int x) { return bits_as<float>(x); }
inline float __uint_as_float(unsigned x) { return bits_as<float>(x); }
inline unsigned __float_as_uint(float x) { return bits_as<unsigned>(x); }

namespace emulator {

const int MOST_THREADS = 256;
const size_t STACK = 256 * 1024;

[[noreturn]] inline void die(const char *what) {
    std::fprintf(stderr, "emulator: %s\n", what);
    std::abort();
}

// The fibers of one OS thread, made once.
struct Fibers {
    ucontext_t first_scheduler, first[MOST_THREADS];
    jmp_buf scheduler, fiber[MOST_THREADS];
    bool waits[MOST_THREADS];
    void (*body)(void *);
    void *argument;
    int current;

    Fibers();
    void resume(int i) {
        current = i;
        if (!_setjmp(scheduler)) _longjmp(fiber[i], 1);
    }
    void leave(bool waiting) {
        const int self = current;
        waits[self] = waiting;
        if (!_setjmp(fiber[self])) _longjmp(scheduler, 1);
        threadIdx = Place{(unsigned)self, 0, 0};
    }
    static void enter(int high, int low);
    void run(int threads, bool reversed);
};

inline void Fibers::enter(int high, int low) {
    Fibers *self = (Fibers *)(((uintptr_t)(unsigned)high << 32) | (unsigned)low);
    const int own = self->current;
    if (!_setjmp(self->fiber[own])) swapcontext(&self->first[own], &self->first_scheduler);
    for (;;) {
        threadIdx = Place{(unsigned)own, 0, 0};
        self->body(self->argument);
        self->leave(false);
    }
}

inline Fibers::Fibers() {
    for (int i = 0; i < MOST_THREADS; ++i) {
        void *stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED) die("no memory for a stack");
        getcontext(&first[i]);
        first[i].uc_stack.ss_sp = stack;
        first[i].uc_stack.ss_size = STACK;
        first[i].uc_link = nullptr;
        const uintptr_t self = (uintptr_t)this;
        makecontext(&first[i], (void (*)())enter, 2, (int)(self >> 32), (int)(self & 0xffffffffu));
        current = i;
        swapcontext(&first_scheduler, &first[i]);
    }
}

// From one __syncthreads() to the next, the threads run one after the other, in either order: what they
// share without a barrier between shows as a difference.
inline void Fibers::run(int threads, bool reversed) {
    int waiting;
    do {
        waiting = 0;
        for (int n = 0; n < threads; ++n) {
            const int i = reversed ? threads - 1 - n : n;
            resume(i);
            waiting += waits[i];
        }
        if (waiting != 0 && waiting != threads) die("not all threads of a block reach a barrier");
    } while (waiting);
}

// Static, for every library has its own: a thread of a block belongs to the kernels it runs.
static Fibers &fibers() {
    static thread_local Fibers *own = new Fibers;
    return *own;
}

template <class... A, size_t... I>
void call(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    kernel(*(std::remove_cv_t<A> *)arguments[I]...);
}

template <class... A>
void launch(void (*kernel)(A...), const size_t *blocks, int threads, void **arguments, int reversed) {
    struct Work {
        void (*kernel)(A...);
        void **arguments;
    } work{kernel, arguments};
    if (threads > MOST_THREADS) die("too many threads in a block");
    Fibers &own = fibers();
    own.argument = &work;
    own.body = [](void *argument) {
        Work *work = (Work *)argument;
        call(work->kernel, work->arguments, std::index_sequence_for<A...>());
    };
    const size_t count = blocks[0] * blocks[1] * blocks[2];
    for (size_t n = 0; n < count; ++n) {
        const size_t b = reversed ? count - 1 - n : n;
        blockIdx = Place{(unsigned)(b % blocks[0]), (unsigned)(b / blocks[0] % blocks[1]),
                         (unsigned)(b / blocks[0] / blocks[1])};
        own.run(threads, reversed != 0);
    }
}

struct Mapping {
    void *base;
    size_t size;
};
static std::mutex &mappings_lock() {
    static std::mutex lock;
    return lock;
}
static std::unordered_map<uint64_t, Mapping> &mappings() {
    static std::unordered_map<uint64_t, Mapping> all;
    return all;
}

} // namespace emulator

inline void __syncthreads() { emulator::fibers().leave(true); }

// Memory that ends (but for its alignment) where a page begins that may not be touched, and begins after
// one.
extern "C" uint64_t emulator_allocate(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t used = (bytes + 15) / 16 * 16, body = (used + page - 1) / page * page;
    char *base = (char *)mmap(nullptr, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == (char *)MAP_FAILED) return 0;
    if (mprotect(base + page, body, PROT_READ | PROT_WRITE) != 0) return 0;
    std::memset(base + page, 0xff, body);
    const uint64_t pointer = (uint64_t)(base + page + body - used);
    std::lock_guard<std::mutex> guard(emulator::mappings_lock());
    emulator::mappings()[pointer] = {base, body + 2 * page};
    return pointer;
}

extern "C" void emulator_free(uint64_t pointer) {
    std::lock_guard<std::mutex> guard(emulator::mappings_lock());
    auto found = emulator::mappings().find(pointer);
    if (found == emulator::mappings().end()) emulator::die("freed what was not allocated");
    munmap(found->second.base, found->second.size);
    emulator::mappings().erase(found);
}
