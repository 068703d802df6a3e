// Log-sum-exp over all pairs of rows in float32, with register-tiled products.
#include "contrast.h"

namespace {

#if defined(__AVX512F__)
constexpr int64_t ROWS = 12;
#else
constexpr int64_t ROWS = 6;
#endif

// c (R, V registers) (+)= a (R, depth) b (depth, V registers), the sums held in registers. Kept out of its callers, in
// which the compiler would run out of registers.
template <int64_t R, int64_t V, int64_t A_ROW, int64_t A_DEPTH, bool ADD>
__attribute__((noinline)) static void tile(const float* a, const float* b, int64_t b_depth, int64_t depth, float* c,
                                           int64_t c_row) {
    Reg sum[R][V];
#pragma GCC unroll 16
    for (int64_t r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int64_t v = 0; v < V; ++v) sum[r][v] = Reg{};
    for (int64_t k = 0; k < depth; ++k) {
        Reg right[V];
        for (int64_t v = 0; v < V; ++v) right[v] = at(b + k * b_depth + v * WIDTH);
        for (int64_t r = 0; r < R; ++r) {
            const Reg left = same(a[r * A_ROW + k * A_DEPTH]);
            for (int64_t v = 0; v < V; ++v) sum[r][v] += left * right[v];
        }
    }
#pragma GCC unroll 16
    for (int64_t r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int64_t v = 0; v < V; ++v) {
            Reg& to = at(c + r * c_row + v * WIDTH);
            to = ADD ? to + sum[r][v] : sum[r][v];
        }
}

// A matrix, its rows also in panels: (panel, p, PANEL), zero beyond the last. Either side of a product reads them.
struct Panels {
    const float* rows;
    float* memory;
};

// The three products of a task: scores, weights by the rows of y, and transposed weights by the rows of x.
struct Float32 {
    static constexpr int64_t STRIP = ROWS, UNIT = WIDTH, SCRATCH = BLOCK * STRIDE * 4;
    Panels x, y;
    int64_t p;

    static Panels pack(const float* z, int64_t rows, int64_t p, bool, int64_t threads) {
        float* packed = static_cast<float*>(aligned_alloc(64, size_t(up(rows, PANEL) * p * 4 + 64)));
        if (packed)
            parallel_for(up(rows, PANEL) / PANEL, 4, threads, [=](int64_t begin, int64_t end) {
                for (int64_t panel = begin; panel < end; ++panel) {
                    float* to = packed + panel * PANEL * p;
                    const int64_t count = least(PANEL, rows - panel * PANEL);
                    if (count < PANEL) memset(to, 0, size_t(PANEL * p * 4));
                    for (int64_t k = 0; k < p; k += 16)  // a line of a row at a time
                        for (int64_t r = 0; r < count; ++r)
                            for (int64_t l = k; l < k + 16; ++l) to[l * PANEL + r] = z[(panel * PANEL + r) * p + l];
                }
            });
        return {z, packed};
    }

    void enter() const {}
    void leave() const {}

    void scores(int64_t i, int64_t j, int64_t width, float* out) const {
        const float* a = x.memory + i / PANEL * PANEL * p + i % PANEL;
        for (int64_t c = 0; c < width; c += 2 * WIDTH) {
            const float* b = y.memory + (j + c) / PANEL * PANEL * p + (j + c) % PANEL;
            tile<ROWS, 2, 1, PANEL, false>(a, b, PANEL, p, out + c, STRIDE);
        }
    }

    // Scores become weights in place, all strips of a task one below the other.
    float* strip(char* scratch, int64_t r) const { return reinterpret_cast<float*>(scratch) + r * STRIDE; }
    void keep(char*, int64_t, int64_t, int64_t, bool) const {}

    void gather(char* scratch, const Task& t, float* dx) const {
        update<STRIDE, 1>(strip(scratch, 0), t.rows, y.rows + t.j * p, t.columns, dx + t.i * p);
    }

    void scatter(char* scratch, const Task& t, float* dy) const {
        update<1, STRIDE>(strip(scratch, 0), t.columns, x.rows + t.i * p, t.rows, dy + t.j * p);
    }

    template <int64_t ROW, int64_t DEPTH>
    void update(const float* w, int64_t rows, const float* z, int64_t depth, float* d) const {
        int64_t q = 0;
        for (; q + 2 * WIDTH <= p; q += 2 * WIDTH) down<2, ROW, DEPTH>(w, rows, z + q, depth, d + q);
        for (; q < p; q += WIDTH) down<1, ROW, DEPTH>(w, rows, z + q, depth, d + q);
    }

    template <int64_t V, int64_t ROW, int64_t DEPTH>
    void down(const float* w, int64_t rows, const float* z, int64_t depth, float* d) const {
        alignas(64) float right[BLOCK * V * WIDTH];  // read for every strip of rows: packed, it stays in the L1 cache
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t v = 0; v < V; ++v) at(right + (k * V + v) * WIDTH) = at(z + k * p + v * WIDTH);
        int64_t r = 0;
        for (; r + ROWS <= rows; r += ROWS)
            tile<ROWS, V, ROW, DEPTH, true>(w + r * ROW, right, V * WIDTH, depth, d + r * p, p);
        for (; r < rows; ++r) tile<1, V, ROW, DEPTH, true>(w + r * ROW, right, V * WIDTH, depth, d + r * p, p);
    }
};

}  // namespace

CONTRAST_KERNELS(f32, Float32)
