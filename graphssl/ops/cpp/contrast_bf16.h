// Products of bfloat16 matrices with float32 sums, and what brings numbers into their order.
#pragma once
#include "contrast_strips.h"

namespace {

typedef uint16_t Half;

// A factor: the sum of its numbers rounded to bfloat16 and, unless null, of the rounded rests, 16 of 24 bits together.
struct Parts {
    Half *high, *low;
};
static INLINE Parts operator+(const Parts& a, int64_t n) { return {a.high + n, a.low ? a.low + n : nullptr}; }

// square: c (32, 32) (+)= a (32, depth) b (depth, 32), without low by low, which is below the error of what is kept.
// Left factors are rows. Right factors come in panels of 16 columns: (panel, depth / 2, 16, 2).
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

static INLINE void load_left(const Half* a, int64_t row) {
    _tile_loadd(4, a, row * 2);
    _tile_loadd(5, a + 16 * row, row * 2);
}

static INLINE void load_right(const Half* b, int64_t panel) {
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b + panel, 64);
}

static INLINE void add_product() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

template <bool ADD>
static INLINE void square(const Parts& a, int64_t a_row, const Parts& b, int64_t panel, int64_t depth, float* c,
                          int64_t c_row) {
    if (ADD) {
        _tile_loadd(0, c, c_row * 4);
        _tile_loadd(1, c + 16, c_row * 4);
        _tile_loadd(2, c + 16 * c_row, c_row * 4);
        _tile_loadd(3, c + 16 * c_row + 16, c_row * 4);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t k = 0; k < depth; k += 32) {
        load_right(b.high + k * 16, panel);
        if (a.low) load_left(a.low + k, a_row), add_product();
        load_left(a.high + k, a_row), add_product();
        if (b.low) load_right(b.low + k * 16, panel), add_product();
    }
    _tile_stored(0, c, c_row * 4);
    _tile_stored(1, c + 16, c_row * 4);
    _tile_stored(2, c + 16 * c_row, c_row * 4);
    _tile_stored(3, c + 16 * c_row + 16, c_row * 4);
}

#else

static inline void enter_tiles() {}
static inline void leave_tiles() {}

template <bool ADD>
__attribute__((noinline)) static void square(const Parts& a, int64_t a_row, const Parts& b, int64_t panel,
                                             int64_t depth, float* c, int64_t c_row) {
    constexpr int64_t R = 8;
    const Half *lefts[3] = {a.low, a.high, a.high}, *rights[3] = {b.high, b.low, b.high};
    for (int64_t i = 0; i < 32; i += R) {
        __m512 sum[R][2];
#pragma GCC unroll 8
        for (int64_t r = 0; r < R; ++r)
#pragma GCC unroll 2
            for (int64_t v = 0; v < 2; ++v)
                sum[r][v] = ADD ? _mm512_loadu_ps(c + (i + r) * c_row + 16 * v) : _mm512_setzero_ps();
        for (int64_t product = 0; product < 3; ++product) {
            if (!lefts[product] || !rights[product]) continue;
            for (int64_t k = 0; k < depth; k += 2) {
                const __m512bh first = (__m512bh)_mm512_loadu_si512(rights[product] + k * 16);
                const __m512bh second = (__m512bh)_mm512_loadu_si512(rights[product] + panel + k * 16);
#pragma GCC unroll 8
                for (int64_t r = 0; r < R; ++r) {
                    int32_t two;
                    memcpy(&two, lefts[product] + (i + r) * a_row + k, 4);
                    const __m512bh left = (__m512bh)_mm512_set1_epi32(two);
                    sum[r][0] = _mm512_dpbf16_ps(sum[r][0], left, first);
                    sum[r][1] = _mm512_dpbf16_ps(sum[r][1], left, second);
                }
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

// What rounding leaves of a then b, itself rounded.
static INLINE __m512i rest(__m512 a, __m512 b, __m512i high) {
    return rounded(_mm512_sub_ps(a, widened(_mm512_castsi512_si256(high))),
                   _mm512_sub_ps(b, widened(_mm512_extracti64x4_epi64(high, 1))));
}

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

static INLINE void transpose(__m512i* v) { exchange<8>(v), exchange<4>(v), exchange<2>(v), exchange<1>(v); }

}  // namespace
