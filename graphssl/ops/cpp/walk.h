// One step of random walks, several walks at a time: while one waits for memory the others go on.
#pragma once
#include "common.h"
#include "random.h"

namespace {

constexpr int64_t TOGETHER = 32;  // walks that take their steps in turns

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

// Walks with restart from at most TOGETHER seeds, into trace (count, length + 1). Number 2t of a walk's stream says
// whether move t starts at the seed, number 2t + 1 which neighbour it takes.
void walk(const Graph& graph, const int64_t* seeds, const int64_t* keys, int64_t count, int64_t length, double restart,
          int32_t* trace) {
    int32_t at[TOGETHER];
    int64_t entry[TOGETHER];
    double again[TOGETHER], number[TOGETHER];
    const int64_t width = length + 1;
    for (int64_t i = 0; i < count; ++i) trace[i * width] = at[i] = int32_t(seeds[i]);
    for (int64_t t = 0; t < length; ++t) {
        for (int64_t i = 0; i < count; ++i) {  // apart from the rest: the compiler makes vectors of it
            again[i] = uniform(uint64_t(keys[i]), uint64_t(2 * t));
            number[i] = uniform(uint64_t(keys[i]), uint64_t(2 * t + 1));
        }
        for (int64_t i = 0; i < count; ++i) {
            entry[i] = graph.draw(t > 0 && again[i] < restart ? seeds[i] : at[i], number[i]);
            if (entry[i] >= 0) __builtin_prefetch(graph.neighbour + entry[i]);
        }
        for (int64_t i = 0; i < count; ++i) {
            if (entry[i] >= 0) {
                at[i] = graph.neighbour[entry[i]];
            } else if (restart > 0) {
                at[i] = int32_t(seeds[i]);
            }
            __builtin_prefetch(graph.ptr + at[i]);
            trace[i * width + t + 1] = at[i];
        }
    }
}

}  // namespace
