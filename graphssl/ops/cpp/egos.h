// The nodes around a seed, by breadth-first search.
#pragma once
#include "buffers.h"
#include "walk.h"

namespace {

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
bool thin(Nodes& nodes, int64_t hop, int64_t room, uint64_t key) {
    const int64_t found = nodes.count() - hop;
    int32_t* node = nodes.node();
    int64_t* value = static_cast<int64_t*>(malloc(size_t(found) * sizeof(int64_t)));
    if (!value) return false;
    for (int64_t i = 0; i < found; ++i) value[i] = int64_t(stream_key(key, uint64_t(node[hop + i])));
    select(value, found, room);
    const int64_t limit = value[room - 1];
    free(value);
    int64_t kept = hop;
    for (int64_t i = hop; i < hop + found && kept < hop + room; ++i)
        if (int64_t(stream_key(key, uint64_t(node[i]))) <= limit) node[kept++] = node[i];
    return nodes.shorten(kept);
}

// All nodes within `hops` steps of the seed, in the order in which they are found; at most `most`.
bool search_breadth_first(const Graph& graph, Nodes& nodes, int32_t seed, int64_t hops, int64_t most, uint64_t key) {
    if (!nodes.start() || !nodes.add(seed)) return false;
    int64_t begin = 0;
    for (int64_t hop = 0; hop < hops; ++hop) {
        const int64_t end = nodes.count();
        if (begin == end || end >= most) break;
        for (int64_t i = begin; i < end; ++i) {
            const int64_t u = nodes.node()[i];
            for (int64_t e = graph.ptr[u]; e < graph.ptr[u + 1]; ++e)
                if (!nodes.add(graph.neighbour[e])) return false;
        }
        if (nodes.count() > most) return thin(nodes, end, most - end, key);
        begin = end;
    }
    return true;
}

}  // namespace
