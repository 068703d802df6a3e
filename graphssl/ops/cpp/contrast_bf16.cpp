// Log-sum-exp over all pairs of rows with products in bfloat16: on AMX tiles, or with AVX-512's pairwise products.
//
// bf16: scores are products of rounded rows. In the gradient the weights are rounded, but a row of z is the sum of two
// bfloat16 numbers (16 bits of the 24): where embeddings lie close together their small differences are the gradient.
// bf16x2: rows and weights are sums of two wherever they are multiplied. Three products for one pay on AMX tiles alone.
// Everything else, and every sum, is float32.
#include "contrast.h"
#include "contrast_bf16.h"

namespace {

// A matrix as the products want it, rows and p multiples of 32.
struct Packed {
    Half* memory;
    Parts rows;      // (rows, p): left factor of scores
    Parts columns;   // (rows / 16, p / 2, 16, 2): right factor of scores
    Parts values;    // (p / 16, rows / 2, 16, 2): right factor of gradients, null forward
    int64_t height;  // rows, padded
};

// 32 numbers as parts: 16 from a, then 16 from b.
template <bool LOW>
static INLINE void split(const float* a, const float* b, __m512i& high, __m512i& low) {
    const __m512 x = _mm512_loadu_ps(a), y = _mm512_loadu_ps(b);
    high = rounded(x, y);
    if (LOW) low = rest(x, y, high);
}

static void pack_columns(const Half* rows, int64_t begin, int64_t p, Half* columns) {
    for (int64_t k = 0; k < p; k += 32) {
        __m512i v[16];
        for (int64_t r = 0; r < 16; ++r) v[r] = _mm512_loadu_si512(rows + (begin + r) * p + k);
        transpose(v);
        for (int64_t r = 0; r < 16; ++r) _mm512_storeu_si512(columns + begin * p + (k / 2 + r) * 32, v[r]);
    }
}

template <bool LOW>
static void pack_rows(const float* z, int64_t count, int64_t p, const Packed& to, int64_t begin) {
    alignas(64) static const float ZERO[32] = {};
    __m512i high, low;
    for (int64_t i = begin; i < begin + 16; i += 2)
        for (int64_t k = 0; k < p; k += 32) {
            const float* pair[2] = {i < count ? z + i * p + k : ZERO, i + 1 < count ? z + (i + 1) * p + k : ZERO};
            for (int64_t r = 0; r < 2; ++r) {
                split<LOW>(pair[r], pair[r] + 16, high, low);
                _mm512_storeu_si512(to.rows.high + (i + r) * p + k, high);
                if (LOW) _mm512_storeu_si512(to.rows.low + (i + r) * p + k, low);
            }
            for (int64_t v = 0; to.values.high && v < 32; v += 16) {
                split<true>(pair[0] + v, pair[1] + v, high, low);
                const int64_t at = ((k + v) / 16 * to.height + i) * 16;
                _mm512_storeu_si512(to.values.high + at, interleaved(high));
                _mm512_storeu_si512(to.values.low + at, interleaved(low));
            }
        }
    pack_columns(to.rows.high, begin, p, to.columns.high);
    if (LOW) pack_columns(to.rows.low, begin, p, to.columns.low);
}

// The three products of a task, of scores and weights with or without their low parts.
template <bool LOW>
struct BFloat16 {
    static constexpr int64_t STRIP = 32, UNIT = 32, STRIP_BYTES = STRIP * STRIDE * 4, COUNT = LOW ? 2 : 1;
    static constexpr int64_t SCRATCH = STRIP_BYTES + 2 * COUNT * BLOCK * BLOCK * 2;
    Packed x, y;
    int64_t p;

    static Packed pack(const float* z, int64_t rows, int64_t p, bool gradients, int64_t threads) {
        const int64_t height = up(rows, 32), size = height * p, count = 2 * COUNT + (gradients ? 2 : 0);
        Half* all = static_cast<Half*>(aligned_alloc(64, size_t(size * count * 2 + 64)));
        Half* values = gradients ? all + 2 * COUNT * size : nullptr;
        const Packed to{all, parts(all, size), parts(all + COUNT * size, size),
                        Parts{values, gradients ? values + size : nullptr}, height};
        if (all)
            parallel_for(height / 16, 16, threads, [&](int64_t begin, int64_t end) {
                for (int64_t b = begin; b < end; ++b) pack_rows<LOW>(z, rows, p, to, b * 16);
            });
        return to;
    }

    // One after the other.
    static INLINE Parts parts(Half* memory, int64_t size) { return {memory, LOW ? memory + size : nullptr}; }

    void enter() const { enter_tiles(); }
    void leave() const { leave_tiles(); }

    void scores(int64_t i, int64_t j, int64_t width, float* out) const {
        for (int64_t c = 0; c < width; c += 32)
            square<false>(x.rows + i * p, p, y.columns + (j + c) * p, 16 * p, p, out + c, STRIDE);
    }

    // A strip of scores becomes one of float32 weights; in parts, they are kept as rows and as columns.
    float* strip(char* scratch, int64_t) const { return reinterpret_cast<float*>(scratch); }
    Parts weights(char* scratch) const {
        return parts(reinterpret_cast<Half*>(scratch + STRIP_BYTES), BLOCK * BLOCK);
    }
    Parts transposed(char* scratch) const {
        return parts(reinterpret_cast<Half*>(scratch + STRIP_BYTES) + COUNT * BLOCK * BLOCK, BLOCK * BLOCK);
    }

    void keep(char* scratch, int64_t at, int64_t rows, int64_t width, bool both) const {
        float* strip = reinterpret_cast<float*>(scratch);
        const Parts down = weights(scratch) + at * BLOCK, across = transposed(scratch) + at;
        __m512i high[16], low[16];
        for (int64_t r = rows; r < STRIP; ++r) memset(strip + r * STRIDE, 0, size_t(width * 4));
        for (int64_t r = 0; r < STRIP; ++r)
            for (int64_t c = 0; c < width; c += 32) {
                const float* w = strip + r * STRIDE + c;
                split<LOW>(w, w + 16, *high, *low);
                _mm512_storeu_si512(down.high + r * BLOCK + c, *high);
                if (LOW) _mm512_storeu_si512(down.low + r * BLOCK + c, *low);
            }
        for (int64_t c = 0; both && c < width; c += 16) {
            for (int64_t r = 0; r < 16; ++r) {
                const float* w = strip + 2 * r * STRIDE + c;
                split<LOW>(w, w + STRIDE, high[r], low[r]);
            }
            keep_transposed(high, across.high + c * BLOCK);
            if (LOW) keep_transposed(low, across.low + c * BLOCK);
        }
    }

    static INLINE void keep_transposed(__m512i* v, Half* to) {
        for (int64_t r = 0; r < 16; ++r) v[r] = interleaved(v[r]);
        transpose(v);
        for (int64_t r = 0; r < 16; ++r) _mm512_storeu_si512(to + r * BLOCK, v[r]);
    }

    void gather(char* scratch, const Task& t, float* dx) const {
        update(weights(scratch), up(t.rows, 32), y, t.j, up(t.columns, 32), dx + t.i * p);
    }

    void scatter(char* scratch, const Task& t, float* dy) const {
        update(transposed(scratch), up(t.columns, 32), x, t.i, up(t.rows, 32), dy + t.j * p);
    }

    void update(const Parts& w, int64_t rows, const Packed& z, int64_t from, int64_t depth, float* d) const {
        const int64_t panel = z.height * 16;
        for (int64_t r = 0; r < rows; r += 32)
            for (int64_t q = 0; q < p; q += 32)
                square<true>(w + r * BLOCK, BLOCK, z.values + (q / 16 * panel + from * 16), panel, depth,
                             d + r * p + q, p);
    }
};

}  // namespace

CONTRAST_KERNELS(bf16, BFloat16<false>)
#if defined(__AMX_BF16__)
CONTRAST_KERNELS(bf16x2, BFloat16<true>)
#endif
