// Products of bfloat16 matrices with float32 sums, and what brings numbers into their order.
#pragma once
#include "contrast_strips.h"

namespace {

typedef uint16_t Half;

// Left factors are rows of bfloat16. Right factors come in panels of 16 columns: (panel, depth / 2, 16, 2).
#if defined(__AMX_BF16__)

struct Tiles {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static inline void enter_tiles() {
    Tiles tiles = {};
    tiles.palette = 1;
    for (int t = 0; t < 8; ++t) tiles.row_bytes[t] = 64, tiles.rows[t] = 16;
    _tile_loadconfig(&tiles);
}

static inline void leave_tiles() { _tile_release(); }

static INLINE void add_products(const Half* a, int64_t a_row, const Half* b, int64_t panel, int64_t depth) {
    for (int64_t k = 0; k < depth; k += 32) {
        _tile_loadd(4, a + k, a_row * 2);
        _tile_loadd(6, b + k * 16, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + panel + k * 16, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + 16 * a_row + k, a_row * 2);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

// c (32, 32) = a (32, depth) b (depth, 32), or, with a second right factor, c += a (b + more).
static INLINE void square(const Half* a, int64_t a_row, const Half* b, const Half* more, int64_t panel, int64_t depth,
                          float* c, int64_t c_row) {
    if (more) {
        _tile_loadd(0, c, c_row * 4);
        _tile_loadd(1, c + 16, c_row * 4);
        _tile_loadd(2, c + 16 * c_row, c_row * 4);
        _tile_loadd(3, c + 16 * c_row + 16, c_row * 4);
        add_products(a, a_row, more, panel, depth);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    add_products(a, a_row, b, panel, depth);
    _tile_stored(0, c, c_row * 4);
    _tile_stored(1, c + 16, c_row * 4);
    _tile_stored(2, c + 16 * c_row, c_row * 4);
    _tile_stored(3, c + 16 * c_row + 16, c_row * 4);
}

#else

static inline void enter_tiles() {}
static inline void leave_tiles() {}

__attribute__((noinline)) static void square(const Half* a, int64_t a_row, const Half* b, const Half* more,
                                             int64_t panel, int64_t depth, float* c, int64_t c_row) {
    constexpr int64_t R = 8;
    for (int64_t i = 0; i < 32; i += R) {
        __m512 sum[R][2];
#pragma GCC unroll 8
        for (int64_t r = 0; r < R; ++r)
#pragma GCC unroll 2
            for (int64_t v = 0; v < 2; ++v)
                sum[r][v] = more ? _mm512_loadu_ps(c + (i + r) * c_row + 16 * v) : _mm512_setzero_ps();
        for (const Half* right = more ? more : b; right; right = right == more ? b : nullptr)
            for (int64_t k = 0; k < depth; k += 2) {
                const __m512bh first = (__m512bh)_mm512_loadu_si512(right + k * 16);
                const __m512bh second = (__m512bh)_mm512_loadu_si512(right + panel + k * 16);
#pragma GCC unroll 8
                for (int64_t r = 0; r < R; ++r) {
                    int32_t two;
                    memcpy(&two, a + (i + r) * a_row + k, 4);
                    const __m512bh left = (__m512bh)_mm512_set1_epi32(two);
                    sum[r][0] = _mm512_dpbf16_ps(sum[r][0], left, first);
                    sum[r][1] = _mm512_dpbf16_ps(sum[r][1], left, second);
                }
            }
#pragma GCC unroll 8
        for (int64_t r = 0; r < R; ++r)
#pragma GCC unroll 2
            for (int64_t v = 0; v < 2; ++v) _mm512_storeu_ps(c + (i + r) * c_row + 16 * v, sum[r][v]);
    }
}

#endif

// 32 numbers, a then b, rounded.
static INLINE __m512i rounded(__m512 a, __m512 b) { return (__m512i)_mm512_cvtne2ps_pbh(b, a); }
static INLINE __m512 widened(__m256i x) { return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16); }

// a0 b0 a1 b1 ... of a then b
static INLINE __m512i interleaved(__m512i x) {
    alignas(64) static const Half ORDER[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                               8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(ORDER), x);
}

// Transposes 16 x 16 pairs: blocks off the diagonal change places, at ever smaller sizes.
template <int S>
static INLINE void exchange(__m512i* v) {
    const __m512i e = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i partner = _mm512_xor_si512(e, _mm512_set1_epi32(S));
    const __mmask16 later = _mm512_test_epi32_mask(e, _mm512_set1_epi32(S));
    const __m512i second = _mm512_set1_epi32(16);
    const __m512i upper = _mm512_mask_add_epi32(e, later, partner, second);
    const __m512i lower = _mm512_mask_add_epi32(partner, later, e, second);
#pragma GCC unroll 16
    for (int r = 0; r < 16; ++r) {
        if (r & S) continue;
        const __m512i a = v[r], b = v[r + S];
        v[r] = _mm512_permutex2var_epi32(a, upper, b);
        v[r + S] = _mm512_permutex2var_epi32(a, lower, b);
    }
}

}  // namespace
