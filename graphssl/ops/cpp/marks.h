// Is this node in the set, and where does it stand in that row? For many nodes side by side.
#pragma once
#include "common.h"
#include "intrinsics.h"

namespace {

constexpr int64_t SIDE = 16;       // entries, or searches, that go side by side
constexpr int64_t MARK_BITS = 14;  // of a hash: the marks take 2 KiB
constexpr int64_t FEW_BITS = 11;   // where few nodes are marked: four registers hold them all
constexpr int64_t FEW_MARKED = 256;
constexpr uint32_t HASH = 0x9E3779B9u;

inline uint32_t hashed(int32_t v) { return uint32_t(v) * HASH; }

// A set of nodes that may hold others too: one bit for each hash.
struct Marks {
    uint32_t word[1 << (MARK_BITS - 5)] = {};
    int64_t shift = 32 - MARK_BITS;  // of a hash

    void set(const int32_t* node, int64_t n) {
        shift = 32 - (n <= FEW_MARKED ? FEW_BITS : MARK_BITS);
        for (int64_t i = 0; i < n; ++i) {
            const uint32_t h = hashed(node[i]) >> shift;
            word[h >> 5] |= 1u << (h & 31);
        }
    }
    void clear(const int32_t* node, int64_t n) {
        for (int64_t i = 0; i < n; ++i) word[hashed(node[i]) >> shift >> 5] = 0;
    }

    // Write the places in row[0 : n] of those that the set may hold; `place` has room for n + SIDE. Without branches:
    // which entries are in the set cannot be predicted.
    int64_t select(const int32_t* row, int64_t n, int32_t* place) const {
        return shift == 32 - FEW_BITS ? select<true>(row, n, place) : select<false>(row, n, place);
    }

    template <bool few> int64_t select(const int32_t* row, int64_t n, int32_t* place) const {
        int64_t found = 0;
#ifdef __AVX512F__
        const __m512i first = _mm512_loadu_si512(word), second = _mm512_loadu_si512(word + 16);
        const __m512i third = _mm512_loadu_si512(word + 32), fourth = _mm512_loadu_si512(word + 48);
        __m512i at = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        for (int64_t i = 0; i < n; i += SIDE) {
            const __mmask16 mask = n - i < SIDE ? __mmask16((1u << (n - i)) - 1) : __mmask16(0xFFFF);
            const __m512i v = _mm512_maskz_loadu_epi32(mask, row + i);
            const __m512i product = _mm512_mullo_epi32(v, _mm512_set1_epi32(int32_t(HASH)));
            const __m512i h = _mm512_srli_epi32(product, 32 - (few ? FEW_BITS : MARK_BITS));
            const __m512i line = _mm512_srli_epi32(h, 5);
            __m512i words;
            if (few) {
                const __mmask16 upper = _mm512_test_epi32_mask(line, _mm512_set1_epi32(32));
                words = _mm512_mask_mov_epi32(_mm512_permutex2var_epi32(first, line, second), upper,
                                              _mm512_permutex2var_epi32(third, line, fourth));
            } else {
                words = _mm512_i32gather_epi32(line, word, 4);
            }
            const __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(h, _mm512_set1_epi32(31)));
            const __mmask16 likely = _mm512_mask_test_epi32_mask(mask, words, bit);
            _mm512_storeu_si512(place + found, _mm512_maskz_compress_epi32(likely, at));
            found += __builtin_popcount(likely);
            at = _mm512_add_epi32(at, _mm512_set1_epi32(SIDE));
        }
#else
        for (int64_t i = 0; i < n; ++i) {
            const uint32_t h = hashed(row[i]) >> (32 - (few ? FEW_BITS : MARK_BITS));
            place[found] = int32_t(i);
            found += (word[h >> 5] >> (h & 31)) & 1;
        }
#endif
        return found;
    }
};

// SIDE searches in one ascending row: at[i] becomes the first place whose value is not smaller than wanted[i].
struct Search {
    const int32_t* row;
    int64_t size;  // what is left to search
    int32_t wanted[SIDE], at[SIDE];

    void step() {
        const int32_t half = int32_t(size >> 1), next = int32_t((size + 1) >> 1);
#ifdef __AVX512F__
        const __m512i begin = _mm512_loadu_si512(at);
        const __m512i value = _mm512_i32gather_epi32(_mm512_add_epi32(begin, _mm512_set1_epi32(half)), row, 4);
        const __mmask16 right = _mm512_cmplt_epi32_mask(value, _mm512_loadu_si512(wanted));
        _mm512_storeu_si512(at, _mm512_mask_add_epi32(begin, right, begin, _mm512_set1_epi32(next)));
#else
        for (int64_t i = 0; i < SIDE; ++i) at[i] += row[at[i] + half] < wanted[i] ? next : 0;
#endif
        size >>= 1;
    }
};

// All of them step by step in turns: while one waits for memory the others go on.
inline void finish(Search* search, int64_t n) {
    for (bool more = true; more;) {
        more = false;
        for (int64_t i = 0; i < n; ++i) {
            if (search[i].size == 0) continue;
            search[i].step();
            more = true;
        }
    }
}

}  // namespace
