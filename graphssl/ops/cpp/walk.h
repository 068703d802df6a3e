// One step of random walks, several walks at a time: while one waits for memory the others go on.
#pragma once
#include "common.h"
#include "intrinsics.h"
#include "random.h"

namespace {

constexpr int64_t TOGETHER = 64;  // walks that take their steps in turns
constexpr int64_t LANE = 8;       // walks that share a register

// The topology (ops/csr.py): neighbours of u, ascending, and the sums of the weights of u's entries so far.
struct Graph {
    const int64_t* ptr;
    const int32_t* neighbour;
    const double* cumulative;  // null: all entries weigh the same

    int64_t degree(int64_t u) const { return ptr[u + 1] - ptr[u]; }

    // The first entry in [begin, end) whose neighbour is not smaller than v.
    int64_t lower(int64_t begin, int64_t end, int32_t v) const {
        int64_t size = end - begin;
        while (size > 0) {
            const int64_t half = size >> 1;
            const bool right = neighbour[begin + half] < v;
            begin = right ? begin + half + 1 : begin;
            size = right ? size - half - 1 : half;
        }
        return begin;
    }

    bool has_edge(int64_t u, int32_t v) const {
        const int64_t at = lower(ptr[u], ptr[u + 1], v);
        return at < ptr[u + 1] && neighbour[at] == v;
    }

    // The entry of u that a uniform number chooses; -1 where there is nothing to choose.
    int64_t draw(int64_t u, double number) const {
        const int64_t begin = ptr[u], end = ptr[u + 1];
        if (begin == end) return -1;
        if (!cumulative) {
            const int64_t entry = begin + int64_t(number * double(end - begin));
            return entry < end ? entry : end - 1;
        }
        const double total = cumulative[end - 1];
        if (!(total > 0)) return -1;
        const double place = number * total;
        int64_t low = begin, high = end - 1;  // the first sum above `place`; the last one is
        while (low < high) {
            const int64_t middle = (low + high) >> 1;
            if (cumulative[middle] > place) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }
};

// The entries that `count` walks at `from` take, a multiple of LANE; -1 where there is none.
void draw(const Graph& graph, const int64_t* from, const double* number, int64_t count, int64_t* entry) {
#ifdef __AVX512F__
    for (int64_t i = 0; i < count && !graph.cumulative; i += LANE) {
        const __m512i u = _mm512_loadu_si512(from + i);
        const __m512i begin = _mm512_i64gather_epi64(u, graph.ptr, 8);
        const __m512i degree = _mm512_sub_epi64(_mm512_i64gather_epi64(u, graph.ptr + 1, 8), begin);
        const __m512i place = _mm512_cvttpd_epi64(_mm512_mul_pd(_mm512_loadu_pd(number + i), _mm512_cvtepi64_pd(degree)));
        const __m512i last = _mm512_sub_epi64(degree, _mm512_set1_epi64(1));
        const __m512i chosen = _mm512_add_epi64(begin, _mm512_min_epi64(place, last));
        const __mmask8 some = _mm512_test_epi64_mask(degree, degree);
        _mm512_storeu_si512(entry + i, _mm512_mask_mov_epi64(_mm512_set1_epi64(-1), some, chosen));
    }
    if (!graph.cumulative) return;
#endif
    for (int64_t i = 0; i < count; ++i) entry[i] = graph.draw(from[i], number[i]);
}

// Walks with restart from at most TOGETHER seeds, into trace (count, length + 1). Number 2t of a walk's stream says
// whether move t starts at the seed, number 2t + 1 which neighbour it takes.
void walk(const Graph& graph, const int64_t* seeds, const int64_t* keys, int64_t count, int64_t length, double restart,
          int32_t* trace) {
    int64_t home[TOGETHER], at[TOGETHER], from[TOGETHER], key[TOGETHER], entry[TOGETHER];
    double number[TOGETHER];
    const int64_t width = length + 1, padded = (count + LANE - 1) / LANE * LANE;
    for (int64_t i = 0; i < padded; ++i) {
        home[i] = at[i] = seeds[i < count ? i : 0];
        key[i] = keys[i < count ? i : 0];
    }
    for (int64_t i = 0; i < count; ++i) trace[i * width] = int32_t(home[i]);
    for (int64_t t = 0; t < length; ++t) {
        const double again = t > 0 ? restart : 0;
        for (int64_t i = 0; i < padded; ++i) {  // apart from the rest: the compiler makes vectors of it
            from[i] = uniform(uint64_t(key[i]), uint64_t(2 * t)) < again ? home[i] : at[i];
            number[i] = uniform(uint64_t(key[i]), uint64_t(2 * t + 1));
        }
        draw(graph, from, number, padded, entry);
        for (int64_t i = 0; i < count; ++i) __builtin_prefetch(graph.neighbour + entry[i]);
        for (int64_t i = 0; i < count; ++i) {
            at[i] = entry[i] >= 0 ? graph.neighbour[entry[i]] : restart > 0 ? home[i] : from[i];
            __builtin_prefetch(graph.ptr + at[i]);
            trace[i * width + t + 1] = int32_t(at[i]);
        }
    }
}

}  // namespace
