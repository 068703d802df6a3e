// Log-sum-exp over all pairs of rows with products in bfloat16: on AMX tiles, or with AVX-512's pairwise products.
//
// Scores are products of rounded rows. In the gradient the weights are rounded, but a row of z is the sum of two
// bfloat16 numbers (16 bits of the 24): where embeddings lie close together their small differences are the gradient.
// Everything else, and every sum, is float32.
#include "contrast.h"
#include "contrast_bf16.h"

namespace {

// A matrix as the products want it, rows and p multiples of 32.
struct Packed {
    Half* memory;
    Half* rows;        // (rows, p): left factor of scores
    Half* columns;     // (rows / 16, p / 2, 16, 2): right factor of scores
    Half *high, *low;  // (p / 16, rows / 2, 16, 2): right factors of gradients, null forward
    int64_t height;    // rows, padded
};

static void pack_rows(const float* z, int64_t count, int64_t p, const Packed& to, int64_t begin) {
    alignas(64) static const float ZERO[32] = {};
    for (int64_t i = begin; i < begin + 16; i += 2)
        for (int64_t k = 0; k < p; k += 32) {
            const float* a = i < count ? z + i * p + k : ZERO;
            const float* b = i + 1 < count ? z + (i + 1) * p + k : ZERO;
            _mm512_storeu_si512(to.rows + i * p + k, rounded(_mm512_loadu_ps(a), _mm512_loadu_ps(a + 16)));
            _mm512_storeu_si512(to.rows + (i + 1) * p + k, rounded(_mm512_loadu_ps(b), _mm512_loadu_ps(b + 16)));
            for (int64_t v = 0; to.high && v < 32; v += 16) {
                const __m512 x = _mm512_loadu_ps(a + v), y = _mm512_loadu_ps(b + v);
                const __m512i high = rounded(x, y);
                const __m512i low = rounded(_mm512_sub_ps(x, widened(_mm512_castsi512_si256(high))),
                                            _mm512_sub_ps(y, widened(_mm512_extracti64x4_epi64(high, 1))));
                const int64_t at = ((k + v) / 16 * to.height + i) * 16;
                _mm512_storeu_si512(to.high + at, interleaved(high));
                _mm512_storeu_si512(to.low + at, interleaved(low));
            }
        }
    for (int64_t k = 0; k < p; k += 32) {
        __m512i v[16];
        for (int64_t r = 0; r < 16; ++r) v[r] = _mm512_loadu_si512(to.rows + (begin + r) * p + k);
        exchange<8>(v), exchange<4>(v), exchange<2>(v), exchange<1>(v);
        for (int64_t r = 0; r < 16; ++r) _mm512_storeu_si512(to.columns + begin * p + (k / 2 + r) * 32, v[r]);
    }
}

// The three products of a task.
struct BFloat16 {
    static constexpr int64_t STRIP = 32, UNIT = 32, STRIP_BYTES = STRIP * STRIDE * 4;
    static constexpr int64_t SCRATCH = STRIP_BYTES + 2 * BLOCK * BLOCK * 2;
    Packed x, y;
    int64_t p;

    static Packed pack(const float* z, int64_t rows, int64_t p, bool gradients, int64_t threads) {
        const int64_t height = up(rows, 32), size = height * p;
        Half* all = static_cast<Half*>(aligned_alloc(64, size_t(size * (gradients ? 8 : 4) + 64)));
        const Packed to{all, all, all + size, gradients ? all + 2 * size : nullptr, all + 3 * size, height};
        if (all)
            parallel_for(height / 16, 16, threads, [&](int64_t begin, int64_t end) {
                for (int64_t b = begin; b < end; ++b) pack_rows(z, rows, p, to, b * 16);
            });
        return to;
    }

    void enter() const { enter_tiles(); }
    void leave() const { leave_tiles(); }

    void scores(int64_t i, int64_t j, int64_t width, float* out) const {
        for (int64_t c = 0; c < width; c += 32)
            square(x.rows + i * p, p, y.columns + (j + c) * p, nullptr, 16 * p, p, out + c, STRIDE);
    }

    // A strip of scores becomes one of float32 weights; rounded, they are kept as rows and as columns.
    float* strip(char* scratch, int64_t) const { return reinterpret_cast<float*>(scratch); }
    Half* weights(char* scratch) const { return reinterpret_cast<Half*>(scratch + STRIP_BYTES); }
    Half* transposed(char* scratch) const { return weights(scratch) + BLOCK * BLOCK; }

    void keep(char* scratch, int64_t at, int64_t rows, int64_t width, bool both) const {
        float* strip = reinterpret_cast<float*>(scratch);
        for (int64_t r = rows; r < STRIP; ++r) memset(strip + r * STRIDE, 0, size_t(width * 4));
        for (int64_t r = 0; r < STRIP; ++r)
            for (int64_t c = 0; c < width; c += 32) {
                const float* w = strip + r * STRIDE + c;
                _mm512_storeu_si512(weights(scratch) + (at + r) * BLOCK + c,
                                    rounded(_mm512_loadu_ps(w), _mm512_loadu_ps(w + 16)));
            }
        for (int64_t c = 0; both && c < width; c += 16) {
            __m512i v[16];
            for (int64_t r = 0; r < 16; ++r) {
                const float* w = strip + 2 * r * STRIDE + c;
                v[r] = interleaved(rounded(_mm512_loadu_ps(w), _mm512_loadu_ps(w + STRIDE)));
            }
            exchange<8>(v), exchange<4>(v), exchange<2>(v), exchange<1>(v);
            for (int64_t r = 0; r < 16; ++r)
                _mm512_storeu_si512(transposed(scratch) + (c + r) * BLOCK + at, v[r]);
        }
    }

    void gather(char* scratch, const Task& t, float* dx) const {
        update(weights(scratch), up(t.rows, 32), y, t.j, up(t.columns, 32), dx + t.i * p);
    }

    void scatter(char* scratch, const Task& t, float* dy) const {
        update(transposed(scratch), up(t.columns, 32), x, t.i, up(t.rows, 32), dy + t.j * p);
    }

    void update(const Half* w, int64_t rows, const Packed& z, int64_t from, int64_t depth, float* d) const {
        const int64_t panel = z.height * 16;
        for (int64_t r = 0; r < rows; r += 32)
            for (int64_t q = 0; q < p; q += 32)
                square(w + r * BLOCK, BLOCK, z.high + q / 16 * panel + from * 16, z.low + q / 16 * panel + from * 16,
                       panel, depth, d + r * p + q, p);
    }
};

}  // namespace

EXPORT(self_logsumexp_bf16)(const float* z, float* out, int64_t rows, int64_t p, double scale, int64_t skip_partner,
                            double bound, int64_t threads) {
    return self_forward<BFloat16>(z, out, rows, p, scale, skip_partner, bound, threads);
}

EXPORT(self_logsumexp_backward_bf16)(const float* z, const float* lse, const float* grad, float* dz, int64_t rows,
                                     int64_t p, double scale, int64_t skip_partner, int64_t threads) {
    return self_backward<BFloat16>(z, lse, grad, dz, rows, p, scale, skip_partner, threads);
}

EXPORT(cross_logsumexp_bf16)(const float* x, const float* y, float* over_rows, float* over_columns, int64_t rows,
                             int64_t columns, int64_t p, double scale, int64_t skip_diagonal, double bound,
                             int64_t threads) {
    return cross_forward<BFloat16>(x, y, over_rows, over_columns, rows, columns, p, scale, skip_diagonal, bound,
                                   threads);
}

EXPORT(cross_logsumexp_backward_bf16)(const float* x, const float* y, const float* over_rows, const float* over_columns,
                                      const float* grad_rows, const float* grad_columns, float* dx, float* dy,
                                      int64_t rows, int64_t columns, int64_t p, double scale, int64_t skip_diagonal,
                                      int64_t threads) {
    return cross_backward<BFloat16>(x, y, over_rows, over_columns, grad_rows, grad_columns, dx, dy, rows, columns, p,
                                    scale, skip_diagonal, threads);
}
