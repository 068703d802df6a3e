// Subgraphs of many seeds: their nodes, from lists, walks or breadth-first search, and all edges between these.
//
// How large the result is shows at the end: each piece of the range has buffers that grow, the first call returns a
// handle with the totals, and subgraphs_take copies everything to where the caller wants it. What is in a piece depends
// on the seeds alone, so nothing depends on the number of threads.
#include "walk.h"
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

constexpr int64_t AHEAD = 8;        // entries fetched in advance
constexpr int64_t SIDE = 16;        // entries, or searches, that go side by side
constexpr int64_t MARK_BITS = 14;   // of a hash: the marks take 2 KiB
constexpr double PROBE = 1.5;       // what a step of a binary search costs, in entries scanned
constexpr uint32_t HASH = 0x9E3779B9u;

inline uint32_t hashed(int32_t v) { return uint32_t(v) * HASH; }

// A set of nodes that may hold others too: one bit for each hash.
struct Marks {
    uint32_t word[1 << (MARK_BITS - 5)] = {};

    void set(int32_t v) {
        const uint32_t h = hashed(v) >> (32 - MARK_BITS);
        word[h >> 5] |= 1u << (h & 31);
    }
    void clear(int32_t v) { word[hashed(v) >> (32 - MARK_BITS + 5)] = 0; }

    // Bit i: may the set hold row[i]? For the first n <= SIDE.
    uint32_t may_hold(const int32_t* row, int64_t n) const {
#ifdef __AVX512F__
        const __mmask16 mask = n < SIDE ? __mmask16((1u << n) - 1) : __mmask16(0xFFFF);
        const __m512i v = _mm512_maskz_loadu_epi32(mask, row);
        const __m512i h = _mm512_srli_epi32(_mm512_mullo_epi32(v, _mm512_set1_epi32(int32_t(HASH))), 32 - MARK_BITS);
        const __m512i words = _mm512_i32gather_epi32(_mm512_srli_epi32(h, 5), word, 4);
        const __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(h, _mm512_set1_epi32(31)));
        return _mm512_mask_test_epi32_mask(mask, words, bit);
#else
        uint32_t found = 0;
        for (int64_t i = 0; i < n; ++i) {
            const uint32_t h = hashed(row[i]) >> (32 - MARK_BITS);
            found |= ((word[h >> 5] >> (h & 31)) & 1u) << i;
        }
        return found;
#endif
    }
};

// at[i]: the first place in an ascending row whose value is not smaller than wanted[i], for SIDE of them; size > 0.
inline void lower_side_by_side(const int32_t* row, int64_t size, const int32_t* wanted, int32_t* at) {
#ifdef __AVX512F__
    const __m512i v = _mm512_loadu_si512(wanted);
    __m512i begin = _mm512_setzero_si512();
    for (; size > 0; size >>= 1) {
        const __m512i half = _mm512_set1_epi32(int32_t(size >> 1)), next = _mm512_set1_epi32(int32_t((size + 1) >> 1));
        const __m512i value = _mm512_i32gather_epi32(_mm512_add_epi32(begin, half), row, 4);
        begin = _mm512_mask_add_epi32(begin, _mm512_cmplt_epi32_mask(value, v), begin, next);
    }
    _mm512_storeu_si512(at, begin);
#else
    for (int64_t i = 0; i < SIDE; ++i) at[i] = 0;
    for (; size > 0; size >>= 1) {
        const int32_t half = int32_t(size >> 1), next = int32_t((size + 1) >> 1);
        for (int64_t i = 0; i < SIDE; ++i) at[i] += row[at[i] + half] < wanted[i] ? next : 0;
    }
#endif
}

// Memory that grows and keeps its contents; false when there is none.
bool reserve(void** data, int64_t* capacity, int64_t wanted, int64_t size) {
    if (wanted <= *capacity) return true;
    const int64_t larger = wanted > 2 * *capacity ? wanted : 2 * *capacity;
    void* moved = realloc(*data, size_t(larger * size));
    if (!moved) return false;
    *data = moved;
    *capacity = larger;
    return true;
}

struct Edge {
    int32_t source, target;  // places in the subgraph
    int64_t entry;           // of the topology
};

// The subgraphs of a part of the seeds.
struct Piece {
    int32_t* node = nullptr;
    Edge* edge = nullptr;
    int64_t nodes = 0, edges = 0, node_capacity = 0, edge_capacity = 0;

    bool more_nodes(int64_t n) {
        return reserve(reinterpret_cast<void**>(&node), &node_capacity, nodes + n, sizeof(int32_t));
    }
    bool more_edges(int64_t n) {
        return reserve(reinterpret_cast<void**>(&edge), &edge_capacity, edges + n, sizeof(Edge));
    }
};

struct Result {
    int64_t count, grain, pieces;
    Piece* piece;
    int64_t* nodes;  // of each subgraph
    int64_t* edges;
};

void release(Result* result) {
    for (int64_t i = 0; result->piece && i < result->pieces; ++i) {
        free(result->piece[i].node);
        free(result->piece[i].edge);
    }
    free(result->piece);
    free(result->nodes);
    free(result->edges);
    free(result);
}

// The places of the nodes of one subgraph: open addressing, at most a quarter full.
struct Places {
    uint64_t* slot = nullptr;  // node + 1, place; 0: free
    int64_t capacity = 0, size = 0, shift = 0;

    bool reset(int64_t nodes) {
        int64_t bits = 6;
        while ((int64_t(1) << bits) < 4 * nodes) ++bits;
        size = int64_t(1) << bits;
        shift = 32 - bits;
        if (shift < 0 || !reserve(reinterpret_cast<void**>(&slot), &capacity, size, sizeof(uint64_t))) return false;
        memset(slot, 0, size_t(size) * sizeof(uint64_t));
        return true;
    }

    // Where v is, or a free slot.
    int64_t find(int32_t v) const {
        int64_t i = int64_t(hashed(v) >> shift);
        while (slot[i] && slot[i] >> 32 != uint64_t(v) + 1) i = (i + 1) & (size - 1);
        return i;
    }

    void put(int64_t i, int32_t v, int64_t place) { slot[i] = ((uint64_t(v) + 1) << 32) | uint64_t(place); }
};

// Makes the subgraphs of one piece, one after the other.
struct Builder {
    const Graph& graph;
    Piece& piece;
    Places places;
    Marks marks;               // of the nodes: nearly all others are told by one look
    int64_t* order = nullptr;  // nodes and their places, ascending
    int64_t order_capacity = 0, first = 0;

    Builder(const Graph& graph, Piece& piece) : graph(graph), piece(piece) {}
    ~Builder() {
        free(places.slot);
        free(order);
    }

    int64_t nodes() const { return piece.nodes - first; }

    // Start a subgraph that will have `expected` nodes, or more.
    bool start(int64_t expected) {
        first = piece.nodes;
        return places.reset(expected) && piece.more_nodes(expected);
    }

    // A node, unless it is there already.
    bool add(int32_t v) {
        int64_t i = places.find(v);
        if (places.slot[i]) return true;
        if (4 * nodes() >= places.size) {
            if (!places.reset(places.size) || !piece.more_nodes(nodes() + 1)) return false;
            for (int64_t k = 0; k < nodes(); ++k) places.put(places.find(piece.node[first + k]), piece.node[first + k], k);
            i = places.find(v);
        }
        places.put(i, v, nodes());
        if (!piece.more_nodes(1)) return false;
        piece.node[piece.nodes++] = v;
        return true;
    }

    // All edges between the nodes, by source and then in the topology's order.
    bool induce() {
        const int32_t* node = piece.node + first;
        const int64_t m = nodes();
        for (int64_t k = 0; k < m; ++k) {
            marks.set(node[k]);
            __builtin_prefetch(graph.neighbour + graph.ptr[node[k]]);
        }
        bool sorted = false, done = true;
        for (int64_t k = 0; k < m && done; ++k) {
            const int64_t degree = graph.degree(node[k]);
            if (k + 1 < m) {
                const int32_t* row = graph.neighbour + graph.ptr[node[k + 1]];
                __builtin_prefetch(row + 16);
                __builtin_prefetch(row + 32);
            }
            const int64_t probes = 64 - __builtin_clzll(uint64_t(degree) | 1);
            if (double(degree) <= PROBE * double(probes * m) || degree > INT32_MAX) {
                done = scan(k);
            } else {
                done = (sorted || sort()) && search(k);
                sorted = true;
            }
        }
        for (int64_t k = 0; k < m; ++k) marks.clear(node[k]);
        return done;
    }

    // Look up each entry of the row among the nodes.
    bool scan(int64_t k) {
        const int32_t u = piece.node[first + k];
        for (int64_t e = graph.ptr[u], end = graph.ptr[u + 1]; e < end; e += SIDE) {
            const int64_t n = end - e < SIDE ? end - e : SIDE;
            uint32_t likely = marks.may_hold(graph.neighbour + e, n);
            if (!likely) continue;
            if (!piece.more_edges(SIDE)) return false;
            for (; likely; likely &= likely - 1) {
                const int64_t entry = e + __builtin_ctz(likely);
                const uint64_t slot = places.slot[places.find(graph.neighbour[entry])];
                piece.edge[piece.edges] = {int32_t(k), int32_t(uint32_t(slot)), entry};
                piece.edges += slot != 0;
            }
        }
        return true;
    }

    // Look up each node in the row, in ascending order.
    bool search(int64_t k) {
        const int32_t u = piece.node[first + k];
        const int64_t begin = graph.ptr[u], size = graph.degree(u), m = nodes();
        const int32_t* row = graph.neighbour + begin;
        for (int64_t i = 0; i < m; i += SIDE) {
            int32_t wanted[SIDE], at[SIDE];
            for (int64_t j = 0; j < SIDE; ++j) wanted[j] = int32_t(order[i + j < m ? i + j : m - 1] >> 32);
            lower_side_by_side(row, size, wanted, at);
            for (int64_t j = 0; j < SIDE && i + j < m; ++j) {
                for (int64_t e = at[j]; e < size && row[e] == wanted[j]; ++e) {
                    if (!piece.more_edges(1)) return false;
                    piece.edge[piece.edges++] = {int32_t(k), int32_t(uint32_t(order[i + j])), begin + e};
                }
            }
        }
        return true;
    }

    // Shell's sort: short, and the arrays are too.
    bool sort() {
        const int64_t m = nodes();
        if (!reserve(reinterpret_cast<void**>(&order), &order_capacity, m, sizeof(int64_t))) return false;
        for (int64_t k = 0; k < m; ++k) order[k] = (int64_t(piece.node[first + k]) << 32) | k;
        int64_t gap = 1;
        while (gap < m / 9) gap = 3 * gap + 1;
        for (; gap > 0; gap /= 3) {
            for (int64_t i = gap; i < m; ++i) {
                const int64_t value = order[i];
                int64_t at = i;
                for (; at >= gap && order[at - gap] > value; at -= gap) order[at] = order[at - gap];
                order[at] = value;
            }
        }
        return true;
    }
};

// Of c numbers the k smallest come first, k >= 1, the largest of them last.
void select(int64_t* value, int64_t c, int64_t k) {
    int64_t low = 0, high = c - 1;
    while (low < high) {
        const int64_t pivot = value[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (value[i] < pivot) ++i;
            while (value[j] > pivot) --j;
            if (i > j) break;
            const int64_t swapped = value[i];
            value[i++] = value[j];
            value[j--] = swapped;
        }
        if (k - 1 <= j) {
            high = j;
        } else if (k - 1 >= i) {
            low = i;
        } else {
            break;
        }
    }
}

// Keep `room` >= 1 of the nodes from place `hop` on, those whose streams of the key have the smallest keys.
bool thin(Builder& builder, int64_t hop, int64_t room, uint64_t key) {
    Piece& piece = builder.piece;
    const int64_t found = builder.nodes() - hop;
    int32_t* node = piece.node + builder.first;
    int64_t* value = static_cast<int64_t*>(malloc(size_t(found) * sizeof(int64_t)));
    if (!value) return false;
    for (int64_t i = 0; i < found; ++i) value[i] = int64_t(stream_key(key, uint64_t(node[hop + i])));
    select(value, found, room);
    const int64_t limit = value[room - 1];
    free(value);
    int64_t kept = hop;
    for (int64_t i = hop; i < hop + found && kept < hop + room; ++i)
        if (int64_t(stream_key(key, uint64_t(node[i]))) <= limit) node[kept++] = node[i];
    piece.nodes = builder.first + kept;
    if (!builder.places.reset(kept)) return false;
    for (int64_t k = 0; k < kept; ++k) builder.places.put(builder.places.find(node[k]), node[k], k);
    return true;
}

// All nodes within `hops` steps of the seed, in the order in which they are found; at most `most`.
bool search_breadth_first(const Graph& graph, Builder& builder, int32_t seed, int64_t hops, int64_t most, uint64_t key) {
    if (!builder.start(1) || !builder.add(seed)) return false;
    int64_t begin = 0;
    for (int64_t hop = 0; hop < hops; ++hop) {
        const int64_t end = builder.nodes();
        if (begin == end || end >= most) break;
        for (int64_t i = begin; i < end; ++i) {
            const int64_t u = builder.piece.node[builder.first + i];
            for (int64_t e = graph.ptr[u]; e < graph.ptr[u + 1]; ++e)
                if (!builder.add(graph.neighbour[e])) return false;
        }
        if (builder.nodes() > most) return thin(builder, end, most - end, key);
        begin = end;
    }
    return true;
}

// Runs fill(builder, first, last, result) over the pieces; totals: the handle, nodes, edges.
template <typename Fill>
int64_t build(const Graph& graph, int64_t count, int64_t threads, int64_t* totals, Fill fill) {
    Result* result = static_cast<Result*>(calloc(1, sizeof(Result)));
    if (!result) return 1;
    result->count = count;
    result->grain = TOGETHER;
    result->pieces = (count + TOGETHER - 1) / TOGETHER;
    result->piece = static_cast<Piece*>(calloc(size_t(result->pieces) + 1, sizeof(Piece)));
    result->nodes = static_cast<int64_t*>(malloc((size_t(count) + 1) * sizeof(int64_t)));
    result->edges = static_cast<int64_t*>(malloc((size_t(count) + 1) * sizeof(int64_t)));
    int64_t failed = !result->piece || !result->nodes || !result->edges;
    if (!failed) {
        parallel_for(count, result->grain, threads, [&](int64_t begin, int64_t end) {
            Piece& piece = result->piece[begin / TOGETHER];
            Builder builder(graph, piece);
            int64_t edges = 0;
            auto finish = [&](int64_t number) {  // of a subgraph whose nodes are there
                if (!builder.induce()) return false;
                result->nodes[number] = builder.nodes();
                result->edges[number] = piece.edges - edges;
                edges = piece.edges;
                return true;
            };
            if (!fill(builder, begin, end, finish)) __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
        });
    }
    if (failed) {
        release(result);
        return 1;
    }
    totals[0] = int64_t(reinterpret_cast<intptr_t>(result));
    totals[1] = totals[2] = 0;
    for (int64_t i = 0; i < result->pieces; ++i) {
        totals[1] += result->piece[i].nodes;
        totals[2] += result->piece[i].edges;
    }
    return 0;
}

}  // namespace

// Of lists of nodes: list i is list[list_ptr[i] : list_ptr[i + 1]]; each node counts once, where it first stands.
EXPORT(subgraphs_of_lists)(const int64_t* ptr, const int32_t* neighbour, const int64_t* list, const int64_t* list_ptr,
                           int64_t count, int64_t threads, int64_t* totals) {
    const Graph graph{ptr, neighbour, nullptr};
    return build(graph, count, threads, totals, [&](Builder& builder, int64_t begin, int64_t end, auto finish) {
        for (int64_t i = begin; i < end; ++i) {
            if (!builder.start(list_ptr[i + 1] - list_ptr[i])) return false;
            for (int64_t k = list_ptr[i]; k < list_ptr[i + 1]; ++k)
                if (!builder.add(int32_t(list[k]))) return false;
            if (!finish(i)) return false;
        }
        return true;
    });
}

// Of the nodes that a walk with restart visits, in the order of the first visit.
EXPORT(subgraphs_of_walks)(const int64_t* ptr, const int32_t* neighbour, const double* cumulative, const int64_t* seeds,
                           const int64_t* keys, int64_t count, int64_t length, double restart, int64_t threads,
                           int64_t* totals) {
    const Graph graph{ptr, neighbour, cumulative};
    return build(graph, count, threads, totals, [&](Builder& builder, int64_t begin, int64_t end, auto finish) {
        const int64_t width = length + 1;
        int32_t* trace = static_cast<int32_t*>(malloc(size_t(TOGETHER * width) * sizeof(int32_t)));
        bool done = trace != nullptr;
        if (done) walk(graph, seeds + begin, keys + begin, end - begin, length, restart, trace);
        for (int64_t i = begin; i < end && done; ++i) {
            done = builder.start(width);
            for (int64_t t = 0; t < width && done; ++t) done = builder.add(trace[(i - begin) * width + t]);
            done = done && finish(i);
        }
        free(trace);
        return done;
    });
}

// Of the nodes within `hops` steps, at most `most` of them.
EXPORT(subgraphs_of_egos)(const int64_t* ptr, const int32_t* neighbour, const int64_t* seeds, const int64_t* keys,
                          int64_t count, int64_t hops, int64_t most, int64_t threads, int64_t* totals) {
    const Graph graph{ptr, neighbour, nullptr};
    return build(graph, count, threads, totals, [&](Builder& builder, int64_t begin, int64_t end, auto finish) {
        for (int64_t i = begin; i < end; ++i) {
            if (!search_breadth_first(graph, builder, int32_t(seeds[i]), hops, most, uint64_t(keys[i]))) return false;
            if (!finish(i)) return false;
        }
        return true;
    });
}

EXPORT(subgraphs_free)(int64_t handle) {
    release(reinterpret_cast<Result*>(intptr_t(handle)));
    return 0;
}

// Copy a result into the tensors of the totals' sizes, and free it. edge_of: edge ids of the entries; null: the same.
EXPORT(subgraphs_take)(int64_t handle, const int64_t* edge_of, int64_t* node, int64_t* node_ptr, int64_t* edge_index,
                       int64_t* edge, int64_t* edge_ptr, int64_t edges, int64_t threads) {
    Result* result = reinterpret_cast<Result*>(intptr_t(handle));
    node_ptr[0] = edge_ptr[0] = 0;
    for (int64_t i = 0; i < result->count; ++i) {
        node_ptr[i + 1] = node_ptr[i] + result->nodes[i];
        edge_ptr[i + 1] = edge_ptr[i] + result->edges[i];
    }
    parallel_for(result->count, result->grain, threads, [&](int64_t begin, int64_t end) {
        const Piece& piece = result->piece[begin / result->grain];
        for (int64_t i = 0; i < piece.nodes; ++i) node[node_ptr[begin] + i] = piece.node[i];
        const Edge* from = piece.edge;
        for (int64_t i = begin; i < end; ++i) {
            for (int64_t e = edge_ptr[i]; e < edge_ptr[i + 1]; ++e, ++from) {
                edge_index[e] = node_ptr[i] + from->source;
                edge_index[edges + e] = node_ptr[i] + from->target;
                if (edge_of && from + AHEAD < piece.edge + piece.edges) __builtin_prefetch(edge_of + from[AHEAD].entry);
                edge[e] = edge_of ? edge_of[from->entry] : from->entry;
            }
        }
    });
    release(result);
    return 0;
}
