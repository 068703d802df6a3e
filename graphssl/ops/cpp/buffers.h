// Where subgraphs are built: arrays that grow, and the nodes of a subgraph with their places.
#pragma once
#include "marks.h"

namespace {

constexpr int64_t FEW = 64;  // nodes that a subgraph has room for at first

// Memory that grows and keeps its contents; false when there is none.
template <typename T> struct Array {
    T* data = nullptr;
    int64_t size = 0, capacity = 0;

    bool more(int64_t n) {
        if (size + n <= capacity) return true;
        const int64_t larger = size + n > 2 * capacity ? size + n : 2 * capacity;
        void* moved = realloc(static_cast<void*>(data), size_t(larger) * sizeof(T));
        if (!moved) return false;
        data = static_cast<T*>(moved);
        capacity = larger;
        return true;
    }
    bool push(T value) {
        if (!more(1)) return false;
        data[size++] = value;
        return true;
    }
};

struct Edge {
    int32_t source, target;  // places in the subgraph
    int64_t entry;           // of the topology
};

// The subgraphs of a part of the seeds.
struct Piece {
    Array<int32_t> node;
    Array<Edge> edge;
};

// Shell's sort: short, and the arrays are too.
void sort_by_entry(Edge* edge, int64_t n) {
    int64_t gap = 1;
    while (gap < n / 9) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3) {
        for (int64_t i = gap; i < n; ++i) {
            const Edge value = edge[i];
            int64_t at = i;
            for (; at >= gap && edge[at - gap].entry > value.entry; at -= gap) edge[at] = edge[at - gap];
            edge[at] = value;
        }
    }
}

// The places of the nodes of one subgraph: open addressing, at most a quarter full.
struct Places {
    Array<uint64_t> slot;  // node + 1, place; 0: free
    int64_t shift = 0;

    bool reset(int64_t nodes) {
        int64_t bits = 6;
        while ((int64_t(1) << bits) < 4 * nodes) ++bits;
        shift = 32 - bits;
        slot.size = 0;
        if (shift < 0 || !slot.more(int64_t(1) << bits)) return false;
        slot.size = int64_t(1) << bits;
        memset(slot.data, 0, size_t(slot.size) * sizeof(uint64_t));
        return true;
    }

    // Where v is, or a free slot.
    int64_t find(int32_t v) const {
        int64_t i = int64_t(hashed(v) >> shift);
        while (slot.data[i] && slot.data[i] >> 32 != uint64_t(v) + 1) i = (i + 1) & (slot.size - 1);
        return i;
    }

    void put(int64_t i, int32_t v, int64_t place) { slot.data[i] = ((uint64_t(v) + 1) << 32) | uint64_t(place); }

    // Those of n nodes, with room for `expected`.
    bool fill(const int32_t* node, int64_t n, int64_t expected) {
        if (!reset(expected)) return false;
        for (int64_t k = 0; k < n; ++k) put(find(node[k]), node[k], k);
        return true;
    }
};

// Collects the nodes of one subgraph after the other.
struct Nodes {
    Array<int32_t>& all;
    Places places;
    int64_t first = 0;  // of the present subgraph

    explicit Nodes(Array<int32_t>& all) : all(all) {}
    ~Nodes() { free(places.slot.data); }

    int64_t count() const { return all.size - first; }
    int32_t* node() const { return all.data + first; }

    bool start() {
        first = all.size;
        return places.reset(FEW);
    }

    // A node, unless it is there already.
    bool add(int32_t v) {
        int64_t i = places.find(v);
        if (places.slot.data[i]) return true;
        if (4 * count() >= places.slot.size) {
            if (!places.fill(node(), count(), 2 * count())) return false;
            i = places.find(v);
        }
        places.put(i, v, count());
        return all.push(v);
    }

    // Keep the first `kept` nodes.
    bool shorten(int64_t kept) {
        all.size = first + kept;
        return places.fill(node(), kept, kept);
    }
};

}  // namespace
