// Random walks: of first order with restart, and of second order (node2vec); is the graph they walk on symmetric?
#include "walk.h"

namespace {

// Odds of a move from `at`, reached from `before`: 1 / p back, 1 to a neighbour of `before`, 1 / q elsewhere.
struct Odds {
    double back, far;
    double least, larger;  // of 1 and far
    double most;           // of all three
    int64_t trials;        // after so many no candidate is refused any more
};

// Move t of a second-order walk: candidates as in a first-order one, taken with probability odds / most. Trial i uses
// the numbers 2i (candidate) and 2i + 1 (taken or not) of stream t of the walk's key.
int32_t second_order(const Graph& graph, const Odds& odds, int32_t before, int32_t at, uint64_t key, int64_t t) {
    const uint64_t own = stream_key(key, uint64_t(t));
    for (int64_t i = 0;; ++i) {
        const int64_t entry = graph.draw(at, uniform(own, uint64_t(2 * i)));
        if (entry < 0) return at;
        const int32_t next = graph.neighbour[entry];
        const bool alone = graph.neighbour[graph.ptr[at]] == graph.neighbour[graph.ptr[at + 1] - 1];
        if (i + 1 >= odds.trials || alone) return next;
        const double place = uniform(own, uint64_t(2 * i + 1)) * odds.most;
        if (next == before) {
            if (place < odds.back) return next;
        } else if (place < odds.least) {
            return next;  // whether it is a neighbour of `before` or not
        } else if (place < odds.larger && graph.has_edge(before, next) == (odds.far < 1)) {
            return next;
        }
    }
}

}  // namespace

EXPORT(random_walks)(const int64_t* ptr, const int32_t* neighbour, const double* cumulative, const int64_t* seeds,
                     const int64_t* keys, int64_t* out, int64_t count, int64_t length, double restart, int64_t threads) {
    const Graph graph{ptr, neighbour, cumulative};
    int64_t failed = 0;
    parallel_for(count, TOGETHER, threads, [&](int64_t begin, int64_t end) {
        const int64_t size = (end - begin) * (length + 1);
        int32_t* trace = static_cast<int32_t*>(malloc(size_t(size) * sizeof(int32_t)));
        if (!trace) {
            __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
            return;
        }
        walk(graph, seeds + begin, keys + begin, end - begin, length, restart, trace);
        for (int64_t i = 0; i < size; ++i) out[begin * (length + 1) + i] = trace[i];
        free(trace);
    });
    return failed;
}

EXPORT(node2vec_walks)(const int64_t* ptr, const int32_t* neighbour, const double* cumulative, const int64_t* seeds,
                       const int64_t* keys, int64_t* out, int64_t count, int64_t length, double back, double far,
                       int64_t trials, int64_t threads) {
    const Graph graph{ptr, neighbour, cumulative};
    const double least = far < 1 ? far : 1, larger = far < 1 ? 1 : far;
    const Odds odds{back, far, least, larger, back > larger ? back : larger, trials};
    parallel_for(count, TOGETHER, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            int64_t* trace = out + i * (length + 1);
            const uint64_t key = uint64_t(keys[i]);
            trace[0] = seeds[i];
            if (length == 0) continue;
            const int64_t entry = graph.draw(seeds[i], uniform(key, 1));
            trace[1] = entry < 0 ? seeds[i] : neighbour[entry];
            for (int64_t t = 1; t < length; ++t)
                trace[t + 1] = second_order(graph, odds, int32_t(trace[t - 1]), int32_t(trace[t]), key, t);
        }
    });
    return 0;
}

// Is there an entry (v, u) for each entry (u, v)? cursor: a copy of ptr. Rows are ascending, so when u comes, it must
// be the next one in the row of v.
EXPORT(is_symmetric)(const int64_t* ptr, const int32_t* neighbour, int64_t n, int64_t* cursor, int64_t* found) {
    *found = 0;
    for (int64_t u = 0; u < n; ++u) {
        for (int64_t e = ptr[u]; e < ptr[u + 1]; ++e) {
            const int32_t v = neighbour[e];
            if (e > ptr[u] && neighbour[e - 1] == v) continue;
            int64_t& at = cursor[v];
            if (at == ptr[v + 1] || neighbour[at] != u) return 0;
            while (at < ptr[v + 1] && neighbour[at] == u) ++at;
        }
    }
    *found = 1;
    return 0;
}
