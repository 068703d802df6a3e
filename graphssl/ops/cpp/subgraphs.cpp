// Subgraphs of many seeds: their nodes, from lists, walks or breadth-first search, and all edges between these.
//
// How large the result is shows at the end: each piece of the range has buffers that grow, the first call returns a
// handle with the totals, and subgraphs_take copies everything to where the caller wants it. What is in a piece depends
// on the seeds alone, so nothing depends on the number of threads. `symmetric`: with every entry (u, v) of the topology
// there is one (v, u); the result is the same without, and takes longer.
#include "egos.h"
#include "induced.h"

namespace {

constexpr int64_t SOON = 8;        // edges whose ids are fetched in advance
constexpr int64_t KEPT = 64 << 20;  // bytes that may wait for the next call

struct Result {
    int64_t count, pieces;  // of the seeds
    int64_t room;           // seeds that there is memory for
    Piece* piece;           // of TOGETHER seeds each
    int64_t* nodes;         // of each subgraph
    int64_t* edges;
};

void release(Result* result) {
    if (!result) return;
    for (int64_t i = 0; result->piece && i <= result->room / TOGETHER; ++i) {
        free(result->piece[i].node.data);
        free(result->piece[i].edge.data);
    }
    free(result->piece);
    free(result->nodes);
    free(result->edges);
    free(result);
}

Result* make(int64_t room) {
    Result* result = static_cast<Result*>(calloc(1, sizeof(Result)));
    if (!result) return nullptr;
    result->room = room;
    result->piece = static_cast<Piece*>(calloc(size_t(room / TOGETHER) + 1, sizeof(Piece)));
    result->nodes = static_cast<int64_t*>(malloc((size_t(room) + 1) * sizeof(int64_t)));
    result->edges = static_cast<int64_t*>(malloc((size_t(room) + 1) * sizeof(int64_t)));
    if (result->piece && result->nodes && result->edges) return result;
    release(result);
    return nullptr;
}

// The memory of the last result is kept for the next one: to get it from the system anew takes a tenth of the time.
Result* spare = nullptr;

Result* take(int64_t count) {
    Result* result = __atomic_exchange_n(&spare, nullptr, __ATOMIC_ACQ_REL);
    if (!result || result->room < count) {
        release(result);
        result = make(count);
        if (!result) return nullptr;
    }
    result->count = count;
    result->pieces = (count + TOGETHER - 1) / TOGETHER;
    for (int64_t i = 0; i < result->pieces; ++i) result->piece[i].node.size = result->piece[i].edge.size = 0;
    return result;
}

void give_back(Result* result) {
    int64_t bytes = 16 * result->room;
    for (int64_t i = 0; i <= result->room / TOGETHER; ++i)
        bytes += result->piece[i].node.capacity * sizeof(int32_t) + result->piece[i].edge.capacity * sizeof(Edge);
    release(bytes > KEPT ? result : __atomic_exchange_n(&spare, result, __ATOMIC_ACQ_REL));
}

struct Task {
    const Graph& graph;
    bool symmetric;
    int64_t count, threads;
    int64_t* totals;  // the handle, nodes, edges
};

// Runs fill(nodes, first, last, sizes) over the pieces: it collects the nodes of these seeds, and says how many.
template <typename Fill> int64_t build(const Task& task, Fill fill) {
    Result* result = take(task.count);
    if (!result) return 1;
    int64_t failed = 0;
    parallel_for(task.count, TOGETHER, task.threads, [&](int64_t begin, int64_t end) {
        Piece& piece = result->piece[begin / TOGETHER];
        Nodes nodes(piece.node);
        Induced induced(task.graph, task.symmetric, piece);
        bool done = fill(nodes, begin, end, result->nodes);
        for (int64_t i = begin; i < end && done; ++i) {
            const int64_t before = piece.edge.size;
            done = induced.add(result->nodes[i]);
            result->edges[i] = piece.edge.size - before;
        }
        if (!done) __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
    });
    if (failed) {
        release(result);
        return 1;
    }
    task.totals[0] = int64_t(reinterpret_cast<intptr_t>(result));
    task.totals[1] = task.totals[2] = 0;
    for (int64_t i = 0; i < result->pieces; ++i) {
        task.totals[1] += result->piece[i].node.size;
        task.totals[2] += result->piece[i].edge.size;
    }
    return 0;
}

}  // namespace

// Of lists of nodes: list i is list[list_ptr[i] : list_ptr[i + 1]]; each node counts once, where it first stands.
EXPORT(list_subgraphs)(const int64_t* ptr, const int32_t* neighbour, const int64_t* list, const int64_t* list_ptr,
                       int64_t count, int64_t symmetric, int64_t threads, int64_t* totals) {
    const Graph graph{ptr, neighbour, nullptr};
    const Task task{graph, symmetric != 0, count, threads, totals};
    return build(task, [&](Nodes& nodes, int64_t begin, int64_t end, int64_t* sizes) {
        for (int64_t i = begin; i < end; ++i) {
            if (!nodes.start()) return false;
            for (int64_t k = list_ptr[i]; k < list_ptr[i + 1]; ++k)
                if (!nodes.add(int32_t(list[k]))) return false;
            sizes[i] = nodes.count();
        }
        return true;
    });
}

// Of the nodes that a walk with restart visits, in the order of the first visit.
EXPORT(walk_subgraphs)(const int64_t* ptr, const int32_t* neighbour, const double* cumulative, const int64_t* seeds,
                       const int64_t* keys, int64_t count, int64_t length, double restart, int64_t symmetric,
                       int64_t threads, int64_t* totals) {
    const Graph graph{ptr, neighbour, cumulative};
    const Task task{graph, symmetric != 0, count, threads, totals};
    return build(task, [&](Nodes& nodes, int64_t begin, int64_t end, int64_t* sizes) {
        const int64_t width = length + 1;
        int32_t* trace = static_cast<int32_t*>(malloc(size_t(TOGETHER * width) * sizeof(int32_t)));
        bool done = trace != nullptr;
        if (done) walk(graph, seeds + begin, keys + begin, end - begin, length, restart, trace);
        for (int64_t i = begin; i < end && done; ++i) {
            done = nodes.start();
            for (int64_t t = 0; t < width && done; ++t) done = nodes.add(trace[(i - begin) * width + t]);
            sizes[i] = nodes.count();
        }
        free(trace);
        return done;
    });
}

// Of the nodes within `hops` steps, at most `most` of them.
EXPORT(ego_subgraphs)(const int64_t* ptr, const int32_t* neighbour, const int64_t* seeds, const int64_t* keys,
                      int64_t count, int64_t hops, int64_t most, int64_t symmetric, int64_t threads,
                      int64_t* totals) {
    const Graph graph{ptr, neighbour, nullptr};
    const Task task{graph, symmetric != 0, count, threads, totals};
    return build(task, [&](Nodes& nodes, int64_t begin, int64_t end, int64_t* sizes) {
        for (int64_t i = begin; i < end; ++i) {
            if (!search_breadth_first(graph, nodes, int32_t(seeds[i]), hops, most, uint64_t(keys[i]))) return false;
            sizes[i] = nodes.count();
        }
        return true;
    });
}

EXPORT(subgraphs_free)(int64_t handle) {
    give_back(reinterpret_cast<Result*>(intptr_t(handle)));
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
    parallel_for(result->count, TOGETHER, threads, [&](int64_t begin, int64_t end) {
        const Piece& piece = result->piece[begin / TOGETHER];
        for (int64_t i = 0; i < piece.node.size; ++i) node[node_ptr[begin] + i] = piece.node.data[i];
        const Edge *from = piece.edge.data, *last = from + piece.edge.size;
        for (int64_t i = begin; i < end; ++i) {
            for (int64_t e = edge_ptr[i]; e < edge_ptr[i + 1]; ++e, ++from) {
                edge_index[e] = node_ptr[i] + from->source;
                edge_index[edges + e] = node_ptr[i] + from->target;
                if (edge_of && from + SOON < last) __builtin_prefetch(edge_of + from[SOON].entry);
                edge[e] = edge_of ? edge_of[from->entry] : from->entry;
            }
        }
    });
    give_back(result);
    return 0;
}
