// The edges between the nodes of a subgraph.
#pragma once
#include "buffers.h"
#include "marks.h"
#include "walk.h"

namespace {

constexpr int64_t BLOCK = 512;  // entries scanned at a time
constexpr int64_t LINE = 16;    // entries in a line of memory
constexpr int64_t TURNS = 8;    // groups of searches that take their steps in turns
constexpr int64_t LINES = 8;    // of the next row, fetched in advance
constexpr int64_t AHEAD = 8;   // nodes whose rows begin to be fetched in advance
constexpr double PROBE = 4;     // what a step of a binary search costs, in entries scanned

// A node to be looked up in the row of a hub.
struct Pair {
    int32_t hub, place;
};

// Finds the edges between the nodes of one subgraph after the other.
struct Induced {
    const Graph& graph;
    const bool symmetric;  // with every entry (u, v) there is one (v, u)
    Piece& piece;
    Places places;
    Marks marks;                 // of the nodes: nearly all others are told by one look
    Array<int32_t> hub;          // places of the nodes whose rows are searched, not scanned
    Array<int32_t> last, before; // the edges into a place: the last one found, and for each edge the one before
    Array<Pair> partner;         // hubs, and what is to be looked up in their rows: whole groups of SIDE
    Array<Edge> searched;        // edges found in the hubs' rows
    int64_t first = 0, m = 0;    // the present subgraph: its first node in the piece, and how many it has
    int64_t first_edge = 0;
    int64_t fetched = 0;         // nodes of the piece whose rows are on their way

    Induced(const Graph& graph, bool symmetric, Piece& piece) : graph(graph), symmetric(symmetric), piece(piece) {}
    ~Induced() {
        free(places.slot.data);
        free(hub.data);
        free(last.data);
        free(before.data);
        free(partner.data);
        free(searched.data);
    }

    const int32_t* node() const { return piece.node.data + first; }

    // Fetch the rows of all nodes of the piece up to number `end`, and where those after them begin.
    void fetch(int64_t end) {
        const int32_t* node = piece.node.data;
        for (; fetched < end && fetched < piece.node.size; ++fetched) {
            if (fetched + AHEAD < piece.node.size) __builtin_prefetch(graph.ptr + node[fetched + AHEAD]);
            const int32_t* row = graph.neighbour + graph.ptr[node[fetched]];
            __builtin_prefetch(row);
            __builtin_prefetch(row + LINE);
        }
    }

    // All edges between the next `count` nodes, by source and then in the topology's order. Short rows are scanned for
    // nodes of the subgraph. In the rows of hubs the nodes are looked up: all of them, or in a symmetric graph only the
    // other hubs and those whose own row holds the hub.
    bool add(int64_t count) {
        first += m;
        m = count;
        first_edge = piece.edge.size;
        if (!places.fill(node(), m, m)) return false;
        marks.set(node(), m);
        hub.size = searched.size = 0;
        bool done = true;
        for (int64_t k = 0; k < m && done; ++k) {
            fetch(first + k + AHEAD);
            if (k + 1 < m) {
                const int32_t* row = graph.neighbour + graph.ptr[node()[k + 1]];
                for (int64_t line = 2; line < LINES; ++line) __builtin_prefetch(row + line * LINE);
            }
            done = is_hub(graph.degree(node()[k])) ? hub.push(int32_t(k)) : scan(k);
        }
        marks.clear(node(), m);
        if (!done || hub.size == 0) return done;
        if (symmetric && !chain_by_target()) return false;
        partner.size = 0;
        for (int64_t i = 0; i < hub.size; ++i)
            if (!choose_partners(hub.data[i])) return false;
        return search() && merge();
    }

    // Is a row of that many entries cheaper to search than to scan?
    bool is_hub(int64_t degree) const {
        const int64_t probes = 64 - __builtin_clzll(uint64_t(degree) | 1), looked_up = symmetric ? SIDE + m / 8 : m;
        return double(degree) > PROBE * double(probes * looked_up) && degree <= INT32_MAX;
    }

    // Look up each entry of the row among the nodes.
    bool scan(int64_t k) {
        const int32_t u = node()[k];
        int32_t likely[BLOCK + SIDE];
        for (int64_t e = graph.ptr[u], end = graph.ptr[u + 1]; e < end; e += BLOCK) {
            const int32_t* row = graph.neighbour + e;
            const int64_t n = marks.select(row, end - e < BLOCK ? end - e : BLOCK, likely);
            if (!piece.edge.more(n)) return false;
            Edge* edge = piece.edge.data + piece.edge.size;
            for (int64_t i = 0; i < n; ++i) {
                const uint64_t slot = places.slot.data[places.find(row[likely[i]])];
                *edge = {int32_t(k), int32_t(uint32_t(slot)), e + likely[i]};
                edge += slot != 0;
            }
            piece.edge.size = edge - piece.edge.data;
        }
        return true;
    }

    // Link the edges with the same target.
    bool chain_by_target() {
        const int64_t edges = piece.edge.size - first_edge;
        last.size = before.size = 0;
        if (!last.more(m) || !before.more(edges)) return false;
        for (int64_t k = 0; k < m; ++k) last.data[k] = -1;
        for (int64_t i = 0; i < edges; ++i) {
            int32_t& newest = last.data[piece.edge.data[first_edge + i].target];
            before.data[i] = newest;
            newest = int32_t(i);
        }
        return true;
    }

    // The nodes that can be in the row of hub k, each once.
    bool choose_partners(int64_t k) {
        const int64_t begin = partner.size;
        if (!partner.more(m + SIDE)) return false;
        auto choose = [&](int64_t place) { partner.data[partner.size++] = {int32_t(k), int32_t(place)}; };
        if (symmetric) {
            for (int64_t i = 0; i < hub.size; ++i) choose(hub.data[i]);
            int32_t newest = -1;  // parallel edges follow each other
            for (int64_t i = last.data[k]; i >= 0; i = before.data[i]) {
                const int32_t source = piece.edge.data[first_edge + i].source;
                if (source != newest) choose(source);
                newest = source;
            }
        } else {
            for (int64_t i = 0; i < m; ++i) choose(i);
        }
        while ((partner.size - begin) % SIDE) partner.data[partner.size++] = {int32_t(k), -1};
        return true;
    }

    // Look up the partners in the rows of the hubs.
    bool search() {
        for (int64_t i = 0; i < partner.size; i += TURNS * SIDE) {
            Search group[TURNS];
            const Pair* pair = partner.data + i;
            const int64_t n = partner.size - i < TURNS * SIDE ? partner.size - i : TURNS * SIDE;
            for (int64_t j = 0; j < n; ++j) {
                const int32_t u = node()[pair[j].hub];
                Search& own = group[j / SIDE];
                if (j % SIDE == 0) own.row = graph.neighbour + graph.ptr[u], own.size = graph.degree(u);
                own.wanted[j % SIDE] = pair[j].place < 0 ? -1 : node()[pair[j].place];
                own.at[j % SIDE] = 0;
            }
            finish(group, n / SIDE);
            for (int64_t j = 0; j < n; ++j) {
                const Search& own = group[j / SIDE];
                const int64_t end = graph.degree(node()[pair[j].hub]), from = own.row - graph.neighbour;
                for (int64_t e = own.at[j % SIDE]; e < end && own.row[e] == own.wanted[j % SIDE]; ++e)
                    if (!searched.push({pair[j].hub, pair[j].place, from + e})) return false;
            }
        }
        for (int64_t i = 0, begin = 0; i < searched.size; ++i) {
            if (i + 1 < searched.size && searched.data[i + 1].source == searched.data[i].source) continue;
            sort_by_entry(searched.data + begin, i + 1 - begin);
            begin = i + 1;
        }
        return true;
    }

    // Put the edges from the hubs among the others: both are in order of their sources.
    bool merge() {
        if (!piece.edge.more(searched.size)) return false;
        int64_t i = piece.edge.size - 1, j = searched.size - 1, to = i + searched.size;
        piece.edge.size += searched.size;
        for (; j >= 0; --to) {
            const bool other = i >= first_edge && piece.edge.data[i].source > searched.data[j].source;
            piece.edge.data[to] = other ? piece.edge.data[i] : searched.data[j];
            i -= other;
            j -= !other;
        }
        return true;
    }
};

}  // namespace
