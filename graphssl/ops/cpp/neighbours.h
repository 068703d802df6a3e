// What a node draws from its row: entries in ascending order, a function of the node's key alone.
#pragma once
#include "random.h"

namespace {

constexpr int64_t FEW = 32;  // draws that are kept sorted by insertion

template <typename T> struct Buffer {
    T* data;
    int64_t size, room;

    bool reserve(int64_t wanted) {
        if (wanted <= room) return true;
        const int64_t grown = wanted > 2 * room ? wanted : 2 * room;
        void* moved = realloc(data, size_t(grown) * sizeof(T));
        if (!moved) return false;
        data = static_cast<T*>(moved);
        room = grown;
        return true;
    }
};

struct Graph {
    const int64_t* ptr;
    const int32_t* neighbour;
    const float* weight;       // null: all equal
    const double* cumulative;  // with weights and replacement
    const int64_t* time;       // null: no limit
};

// As it was computed: no contraction with a later sum, which torch would not do.
inline double rounded(double x) {
#if defined(__x86_64__)
    asm("" : "+x"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#else
    asm("" : "+m"(x));
#endif
    return x;
}

// -log(x) for x in (0, 1], to 1e-15: 2 artanh((m - 1) / (m + 1)) as a series, m the mantissa near 1.
double minus_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    int64_t exponent = int64_t(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
    double m;
    memcpy(&m, &bits, 8);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        ++exponent;
    }
    const double f = (m - 1) / (m + 1), square = rounded(f * f);
    double series = 1.0 / 21;
    for (int64_t odd = 19; odd > 0; odd -= 2) series = rounded(series * square) + 1.0 / double(odd);
    return -(rounded(double(exponent) * 0.6931471805599453) + rounded(2 * f * series));
}

// Put v into the place `at` of a heap of numbers, or below it; its root is the largest.
void sink(int64_t* heap, int64_t size, int64_t at, int64_t v) {
    for (int64_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && heap[child] < heap[child + 1]) ++child;
        if (heap[child] <= v) break;
        heap[at] = heap[child];
    }
    heap[at] = v;
}

void sort(int64_t* number, int64_t size) {
    if (size <= FEW) {
        for (int64_t i = 1, j; i < size; ++i) {
            const int64_t v = number[i];
            for (j = i; j > 0 && number[j - 1] > v; --j) number[j] = number[j - 1];
            number[j] = v;
        }
        return;
    }
    for (int64_t at = size / 2; at-- > 0;) sink(number, size, at, number[at]);
    for (int64_t last = size; last-- > 1;) {
        const int64_t v = number[last];
        number[last] = number[0];
        sink(number, last, 0, v);
    }
}

// The same for pairs (key, rank): of equal keys the later rank is the larger.
inline bool larger(double a, int64_t i, double b, int64_t j) { return a > b || (a == b && i > j); }

void sink(double* key, int64_t* rank, int64_t size, int64_t at, double v, int64_t i) {
    for (int64_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && larger(key[child + 1], rank[child + 1], key[child], rank[child])) ++child;
        if (!larger(key[child], rank[child], v, i)) break;
        key[at] = key[child];
        rank[at] = rank[child];
    }
    key[at] = v;
    rank[at] = i;
}

// What one thread needs beside its output.
struct Scratch {
    Buffer<double> value{};
    Buffer<int64_t> slot{};
    ~Scratch() {
        free(value.data);
        free(slot.data);
    }
};

struct Draw {
    const Graph& graph;
    int64_t fanout;
    bool replace;

    // No more than this are drawn.
    int64_t most(int64_t degree) const {
        if (fanout < 0 || degree == 0) return degree;
        return replace || fanout < degree ? fanout : degree;
    }

    // Floyd's algorithm: fanout of n ranks, each subset equally likely. Null memory: false.
    bool floyd(uint64_t key, int64_t n, int64_t* out, Scratch& scratch) const {
        if (fanout <= FEW) {  // ascending all the time: what is drawn twice is replaced by a rank above all others
            int64_t drawn[FEW];
            for (int64_t i = 0; i < fanout; ++i) drawn[i] = below(key, uint64_t(i), n - fanout + i + 1);
            for (int64_t i = 0; i < fanout; ++i) {
                int64_t before = 0;
                for (int64_t j = 0; j < i; ++j) before += out[j] < drawn[i];
                if (before < i && out[before] == drawn[i]) {
                    out[i] = n - fanout + i;
                    continue;
                }
                for (int64_t j = i; j > before; --j) out[j] = out[j - 1];
                out[before] = drawn[i];
            }
            return true;
        }
        int64_t bits = 1;
        while ((int64_t(1) << bits) < 2 * fanout) ++bits;
        const int64_t mask = (int64_t(1) << bits) - 1;
        if (!scratch.slot.reserve(mask + 1)) return false;
        int64_t* slot = scratch.slot.data;
        memset(slot, 0xff, size_t(mask + 1) * sizeof(int64_t));
        const auto add = [&](int64_t rank) {
            int64_t at = int64_t(uint64_t(rank) * STREAM_STEP >> (64 - bits));
            for (; slot[at] >= 0; at = (at + 1) & mask)
                if (slot[at] == rank) return false;
            slot[at] = rank;
            return true;
        };
        for (int64_t i = 0; i < fanout; ++i) {
            const int64_t last = n - fanout + i, rank = below(key, uint64_t(i), last + 1);
            out[i] = rank;
            if (!add(rank)) add(out[i] = last);
        }
        sort(out, fanout);
        return true;
    }

    // Ranks of n equally likely ones, ascending; how many, or -1 without memory.
    int64_t uniform_ranks(uint64_t key, int64_t n, int64_t* out, Scratch& scratch) const {
        const int64_t size = most(n);
        if (replace && fanout >= 0) {
            for (int64_t i = 0; i < size; ++i) out[i] = below(key, uint64_t(i), n);
            sort(out, size);
        } else if (size == n) {
            for (int64_t i = 0; i < n; ++i) out[i] = i;
        } else if (!floyd(key, n, out, scratch)) {
            return -1;
        }
        return size;
    }

    // With replacement: the first rank whose cumulative weight is above a uniform number.
    int64_t weighted_ranks(uint64_t key, const double* cumulative, int64_t degree, int64_t* out) const {
        const double total = degree ? cumulative[degree - 1] : 0;
        if (!(total > 0)) return 0;
        for (int64_t i = 0; i < fanout; ++i) {
            const double x = uniform(key, uint64_t(i)) * total;
            int64_t low = 0, high = degree - 1;
            while (low < high) {
                const int64_t middle = (low + high) / 2;
                if (cumulative[middle] > x) high = middle;
                else low = middle + 1;
            }
            out[i] = low;
        }
        sort(out, fanout);
        return fanout;
    }

    // Without replacement: the smallest of exponential numbers with the weights as rates (Efraimidis, Spirakis 2006).
    int64_t weighted_subset(uint64_t key, const float* weight, int64_t degree, int64_t* out, Scratch& scratch) const {
        const int64_t room = most(degree);
        if (room < degree && !scratch.value.reserve(room)) return -1;
        double* value = scratch.value.data;
        int64_t size = 0;
        for (int64_t rank = 0; rank < degree; ++rank) {
            if (!(weight[rank] > 0)) continue;
            if (room == degree) {
                out[size++] = rank;
                continue;
            }
            const double v = minus_log(1 - uniform(key, uint64_t(rank))) / double(weight[rank]);
            if (size < room) {
                value[size] = v;
                out[size++] = rank;
                if (size == room)
                    for (int64_t at = size / 2; at-- > 0;) sink(value, out, size, at, value[at], out[at]);
            } else if (larger(value[0], out[0], v, rank)) {
                sink(value, out, size, 0, v, rank);
            }
        }
        sort(out, size);
        return size;
    }

    // Entries of u, ascending; how many, or -1 without memory.
    int64_t operator()(int64_t u, uint64_t key, int64_t limit, int64_t* out, Scratch& scratch) const {
        const int64_t start = graph.ptr[u], degree = graph.ptr[u + 1] - start;
        int64_t size = 0;
        if (degree == 0 || fanout == 0) return 0;
        if (graph.time) {
            const int64_t* time = graph.time + start;
            int64_t early = 0;
            for (int64_t rank = 0; rank < degree; ++rank) early += time[rank] <= limit;
            size = early ? uniform_ranks(key, early, out, scratch) : 0;
            for (int64_t i = 0, rank = 0, seen = 0; i < size; ++rank)  // from a rank among the early to one among all
                if (time[rank] <= limit)
                    for (++seen; i < size && out[i] == seen - 1; ++i) out[i] = rank;
        } else if (!graph.weight) {
            size = uniform_ranks(key, degree, out, scratch);
        } else if (replace && fanout >= 0) {
            size = weighted_ranks(key, graph.cumulative + start, degree, out);
        } else {
            size = weighted_subset(key, graph.weight + start, degree, out, scratch);
        }
        for (int64_t i = 0; i < size; ++i) out[i] += start;
        return size;
    }
};

}  // namespace
