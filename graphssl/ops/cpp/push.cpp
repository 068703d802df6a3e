// Diffusions by pushing: one row of S = sum_k c_k A^k for each seed, visiting only the nodes that its mass reaches.
//
// Mass at step k counts c_k of itself in S and moves on along the rows of A. It is kept in units of what it counts: m
// here is m / c_k of mass. In these units it may wait for what arrives at later steps and move on with that: exactly
// for a geometric series, from below for others in which c_{k+1} / c_k falls with k, as Poisson's. It waits as long as
// all that it could still bring, m * rest[k], is at most the node's limit: tolerance * sqrt(entries in the node's row *
// entries in the seed's row). Steps are taken in order: a first in, first out queue, cut into steps.
// One thread computes a seed, in a workspace that it leaves clean: nothing depends on the number of threads.
#include "common.h"

namespace {

constexpr int64_t AHEAD = 8;    // entries whose node is fetched in advance
constexpr double NOT_YET = -1;  // next, of a node that nothing reached at this step; found, of one never reached

struct Node {
    double mass;   // that waits
    double next;   // that arrives for the next step
    double found;  // that was there and moved on
    double limit;
};

// The matrix, and what is wanted of each seed.
struct Task {
    const int32_t* ptr;
    const int32_t* col;
    const double* value;
    const int64_t* seeds;
    int64_t* index;    // (seeds, top_k), -1 where there are fewer
    double* out;       // (seeds, top_k), the largest first
    double* residual;  // (seeds,) what the waiting mass could still bring
    int64_t nodes, top_k;
    double tolerance;
    double first;          // c_0
    const double* growth;  // c_{k+1} / c_k
    const double* rest;    // (c_{k+1} + c_{k+2} + ...) / c_k
    int64_t terms;         // of growth and rest: at later steps the last ones hold

    double size(int64_t u) const { return ptr[u + 1] > ptr[u] ? sqrt(double(ptr[u + 1] - ptr[u])) : 1; }
};

struct Workspace {
    Node* node;
    int32_t* visited;
    int32_t *moving, *arrived;  // nodes whose mass moves at this step, nodes that it reaches
    int64_t count = 0;

    explicit Workspace(const Task& task) {
        const size_t n = size_t(task.nodes);
        node = static_cast<Node*>(malloc(n * sizeof(Node)));
        visited = static_cast<int32_t*>(malloc(n * sizeof(int32_t)));
        moving = static_cast<int32_t*>(malloc(n * sizeof(int32_t)));
        arrived = static_cast<int32_t*>(malloc(n * sizeof(int32_t)));
        for (size_t u = 0; ready() && u < n; ++u) node[u] = {0, NOT_YET, NOT_YET, task.tolerance * task.size(u)};
    }
    ~Workspace() {
        free(node);
        free(visited);
        free(moving);
        free(arrived);
    }
    bool ready() const { return node && visited && moving && arrived; }

    void visit(int32_t u) {
        if (node[u].found != NOT_YET) return;
        node[u].found = 0;
        visited[count++] = u;
    }
};

// Is (a, i) a smaller entry than (b, j)? Of equal ones the first node is the larger.
inline bool smaller(double a, int64_t i, double b, int64_t j) { return a < b || (a == b && i > j); }

// Put (v, i) into the place `at` of a heap, or below it; its root is the smallest entry.
void sink(double* value, int64_t* index, int64_t size, int64_t at, double v, int64_t i) {
    for (int64_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && smaller(value[child + 1], index[child + 1], value[child], index[child])) ++child;
        if (!smaller(value[child], index[child], v, i)) break;
        value[at] = value[child];
        index[at] = index[child];
    }
    value[at] = v;
    index[at] = i;
}

// The largest of scale * found, in order; the workspace is left clean.
void collect(const Task& task, Workspace& work, int64_t number, double scale) {
    double* value = task.out + number * task.top_k;
    int64_t* index = task.index + number * task.top_k;
    int64_t size = 0;
    bool heap = false;
    for (int64_t i = 0; i < work.count; ++i) {
        const int32_t u = work.visited[i];
        const double v = scale * (work.node[u].found + work.node[u].mass);
        work.node[u].found = NOT_YET;
        work.node[u].mass = 0;
        if (!(v > 0)) continue;
        if (size < task.top_k) {
            value[size] = v;
            index[size++] = u;
            continue;
        }
        if (!heap)
            for (int64_t at = size / 2; at-- > 0;) sink(value, index, size, at, value[at], index[at]);
        heap = true;
        if (smaller(value[0], index[0], v, u)) sink(value, index, size, 0, v, u);
    }
    if (!heap)
        for (int64_t at = size / 2; at-- > 0;) sink(value, index, size, at, value[at], index[at]);
    for (int64_t last = size; last-- > 1;) {  // heap sort: the smallest goes to the end
        const double v = value[last];
        const int64_t i = index[last];
        value[last] = value[0];
        index[last] = index[0];
        sink(value, index, last, 0, v, i);
    }
    for (; size < task.top_k; ++size) {
        value[size] = 0;
        index[size] = -1;
    }
    work.count = 0;
}

void push(const Task& task, Workspace& work, int64_t number) {
    const int32_t seed = int32_t(task.seeds[number]);
    const double scale = task.size(seed);  // instead of a larger limit everywhere, start with less
    Node* node = work.node;
    int64_t standing = 1;
    node[seed].mass = task.first / scale;
    work.moving[0] = seed;
    work.visit(seed);
    double residual = node[seed].mass * task.rest[0];
    for (int64_t step = 0; standing > 0; ++step) {
        const int64_t now = step < task.terms ? step : task.terms - 1;
        const int64_t then = step + 1 < task.terms ? step + 1 : task.terms - 1;
        int64_t arrived = 0;
        for (int64_t i = 0; i < standing; ++i) {
            const int32_t u = work.moving[i];
            const double mass = node[u].mass, moved = mass * task.growth[now];
            node[u].found += mass;
            node[u].mass = 0;
            residual -= mass * task.rest[now];
            const int64_t end = task.ptr[u + 1];
            for (int64_t e = task.ptr[u]; e < end; ++e) {
                if (e + AHEAD < end) __builtin_prefetch(node + task.col[e + AHEAD], 1);
                const int32_t v = task.col[e];
                if (node[v].next == NOT_YET) {
                    node[v].next = 0;
                    work.arrived[arrived++] = v;
                }
                node[v].next += moved * task.value[e];
            }
        }
        standing = 0;
        for (int64_t i = 0; i < arrived; ++i) {
            const int32_t v = work.arrived[i];
            work.visit(v);
            node[v].mass += node[v].next;
            residual += node[v].next * task.rest[then];
            node[v].next = NOT_YET;
            if (node[v].mass * task.rest[then] > node[v].limit) work.moving[standing++] = v;
        }
    }
    task.residual[number] = scale * residual;
    collect(task, work, number, scale);
}

}  // namespace

EXPORT(series_push)(const int32_t* ptr, const int32_t* col, const double* value, const int64_t* seeds, int64_t* index,
                    double* out, double* residual, int64_t nodes, int64_t count, int64_t top_k, double tolerance,
                    double first, const double* growth, const double* rest, int64_t terms, int64_t threads) {
    const Task task{ptr, col, value, seeds, index, out, residual, nodes, top_k, tolerance, first, growth, rest, terms};
    int64_t failed = 0;
    // Each piece makes a workspace: few enough for that to cost little, enough for the threads to end together.
    const int64_t pieces = 16 * threads, grain = (count + pieces - 1) / pieces;
    parallel_for(count, grain < 32 ? 32 : grain, threads, [&](int64_t begin, int64_t end) {
        Workspace work(task);
        if (!work.ready()) {
            __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
            return;
        }
        for (int64_t number = begin; number < end; ++number) push(task, work, number);
    });
    return failed;
}
