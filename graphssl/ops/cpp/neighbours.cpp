// Neighbour sampling: all hops of a batch in one call, the same bits as ops/_neighbours_torch.py.
//
// Drawing the entries of a frontier may use threads: what a node draws depends on its key alone. Numbering the nodes
// that are found is sequential, in the order of the edges. How much is found is not known beforehand: it stays in a
// Sample, compact, which sample_neighbours hands out and sample_neighbours_take copies into tensors and frees.
#include "neighbours.h"

namespace {

constexpr int64_t AHEAD = 16;   // nodes whose row is fetched in advance
constexpr int64_t BLOCK = 128;  // edges whose sources are looked up together, their memory fetched in advance
constexpr int64_t SMALL = 1 << 16;

struct Sample {
    Buffer<int32_t> node, tree;  // of each local node: which it is, and the place of the seed that found it
    Buffer<int32_t> count;       // of each expanded node, these are the first: how many edges it drew
    Buffer<int32_t> row;         // of each edge its source, a local node
    Buffer<int64_t> entry;
};

void release(Sample* sample) {
    free(sample->node.data);
    free(sample->tree.data);
    free(sample->count.data);
    free(sample->row.data);
    free(sample->entry.data);
    free(sample);
}

// Which local node a node of a tree is: an array over all nodes, or a hash table where that would be far larger.
struct Numbers {
    struct Slot {
        uint32_t tag;   // of the identity, to look at few local nodes in vain
        int32_t local;  // -1: free
    };
    const Sample& sample;
    const bool disjoint;
    int32_t* direct = nullptr;
    Slot* slot = nullptr;
    int64_t bits = 0;

    Numbers(const Sample& sample, bool disjoint) : sample(sample), disjoint(disjoint) {}
    ~Numbers() {
        free(direct);
        free(slot);
    }
    bool make_direct(int64_t nodes) {
        direct = static_cast<int32_t*>(malloc(size_t(nodes) * sizeof(int32_t) + 1));
        if (direct) memset(direct, 0xff, size_t(nodes) * sizeof(int32_t));
        return direct;
    }
    // Where an identity belongs are the first bits of this.
    uint64_t hash(int64_t tree, int64_t node) const {
        const uint64_t product = uint64_t(disjoint ? tree << 32 | node : node) * STREAM_STEP;
        return product ^ product >> 32;  // the tag is the last bits: all bits shall count
    }
    // Room for that many local nodes in all, half of the table staying empty.
    bool reserve(int64_t size) {
        if (direct || (bits && 2 * size <= int64_t(1) << bits)) return true;
        for (bits = bits ? bits : 10; 2 * size > int64_t(1) << bits;) ++bits;
        free(slot);
        slot = static_cast<Slot*>(malloc(sizeof(Slot) << bits));
        if (!slot) return false;
        memset(slot, 0xff, sizeof(Slot) << bits);
        for (int64_t t = 0; t < sample.node.size; ++t) add(sample.tree.data[t], sample.node.data[t], t);
        return true;
    }
    void fetch(int64_t tree, int64_t node) const {
        if (direct) __builtin_prefetch(direct + node, 1);
        else __builtin_prefetch(slot + (hash(tree, node) >> (64 - bits)), 1);
    }
    // The number of a node: the one that is offered, if it has none.
    int64_t add(int64_t tree, int64_t node, int64_t offered) {
        if (direct) {
            if (direct[node] < 0) direct[node] = int32_t(offered);
            return direct[node];
        }
        const uint64_t key = hash(tree, node), mask = (uint64_t(1) << bits) - 1;
        uint64_t at = key >> (64 - bits);
        for (int64_t t; (t = slot[at].local) >= 0; at = (at + 1) & mask)
            if (slot[at].tag == uint32_t(key) && sample.node.data[t] == node &&
                (!disjoint || sample.tree.data[t] == tree))
                return t;
        slot[at] = {uint32_t(key), int32_t(offered)};
        return offered;
    }
};

struct Task {
    Graph graph;
    const int64_t* seeds;
    const int64_t* keys;   // of each seed's stream
    const int64_t* limit;  // of each seed: the latest time; null: none
    int64_t count;
    const int64_t* fanouts;
    int64_t nodes, hops;
    bool replace, disjoint;
    int64_t threads;

    // The number of nodes that may be found, from above; with -1, as if all rows were of the mean length.
    int64_t expected() const {
        double frontier = double(count), sum = frontier;
        const double mean = nodes ? double(graph.ptr[nodes]) / double(nodes) : 0;
        for (int64_t hop = 0; hop < hops; ++hop)
            sum += frontier *= fanouts[hop] < 0 ? mean : double(fanouts[hop]);
        return sum < 0x1p40 ? int64_t(sum) : int64_t(1) << 40;
    }

    bool draw(Sample& sample, int64_t begin, int64_t end, int64_t hop, int64_t* offset, uint64_t* hop_key) const {
        const Draw draws{graph, fanouts[hop], replace};
        const int32_t* node = sample.node.data;
        int64_t most = 0;
        for (int64_t t = begin; t < end; ++t) {
            if (t + AHEAD < end) __builtin_prefetch(graph.ptr + node[t + AHEAD]);
            offset[t - begin] = most;
            most += draws.most(graph.ptr[node[t] + 1] - graph.ptr[node[t]]);
        }
        const int64_t first = sample.entry.size;
        if (!sample.entry.reserve(first + most) || !sample.row.reserve(first + most) ||
            !sample.count.reserve(end))
            return false;
        for (int64_t s = 0; s < count; ++s) hop_key[s] = stream_key(uint64_t(keys[s]), uint64_t(hop));
        int64_t failed = 0;
        int64_t* out = sample.entry.data + first;
        parallel_for(end - begin, 512, threads, [&](int64_t from, int64_t to) {
            Scratch scratch;
            for (int64_t i = from; i < to; ++i) {
                const int64_t t = begin + i, tree = sample.tree.data[t];
                const int64_t size = draws(node[t], stream_key(hop_key[tree], uint64_t(node[t])),
                                           limit ? limit[tree] : 0, out + offset[i], scratch);
                if (size < 0) __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
                sample.count.data[t] = size < 0 ? 0 : int32_t(size);
            }
        });
        int64_t size = 0;
        for (int64_t t = begin; t < end; ++t) {  // close the gaps, where fewer were drawn than might have been
            if (size != offset[t - begin])
                memmove(out + size, out + offset[t - begin], size_t(sample.count.data[t]) * sizeof(int64_t));
            size += sample.count.data[t];
        }
        sample.entry.size = first + size;
        sample.count.size = end;
        return !failed;
    }

    // Number the sources of the edges from `first` on, which end in the nodes from `t` on.
    bool number(Sample& sample, Numbers& numbers, int64_t first, int64_t t) const {
        int64_t found[BLOCK], tree[BLOCK];
        const int64_t* entry = sample.entry.data;
        const int64_t last = sample.entry.size;
        int64_t left = first < last ? sample.count.data[t] : 0;
        for (int64_t e = first; e < last && e < first + BLOCK; ++e) __builtin_prefetch(graph.neighbour + entry[e]);
        for (int64_t e = first; e < last; e += BLOCK) {
            const int64_t size = last - e < BLOCK ? last - e : BLOCK;
            if (!numbers.reserve(sample.node.size + size) || sample.node.size + size >= INT32_MAX ||
                !sample.node.reserve(sample.node.size + size) || !sample.tree.reserve(sample.tree.size + size))
                return false;
            for (int64_t i = e + BLOCK; i < last && i < e + 2 * BLOCK; ++i)
                __builtin_prefetch(graph.neighbour + entry[i]);
            for (int64_t i = 0; i < size; ++i, --left) {
                while (left == 0) left = sample.count.data[++t];
                tree[i] = sample.tree.data[t];
                found[i] = graph.neighbour[entry[e + i]];
                numbers.fetch(tree[i], found[i]);
            }
            for (int64_t i = 0; i < size; ++i) {
                const int64_t next = sample.node.size;
                const int64_t local = numbers.add(tree[i], found[i], next);
                sample.row.data[e + i] = int32_t(local);
                sample.node.data[next] = int32_t(found[i]);  // kept only if the number is new: room there is
                sample.tree.data[next] = int32_t(tree[i]);
                sample.node.size = sample.tree.size = next + (local == next);
            }
        }
        sample.row.size = last;
        return true;
    }

    bool run(Sample& sample, Numbers& numbers, Buffer<int64_t>& offset, Buffer<uint64_t>& hop_key,
             int64_t* totals) const {
        const bool array = !disjoint && (nodes <= SMALL || nodes / 4 <= expected());
        if (count >= INT32_MAX || (array && !numbers.make_direct(nodes))) return false;
        const int64_t likely = expected() / 2;
        if (!sample.node.reserve(count) || !sample.tree.reserve(count) || !hop_key.reserve(count) ||
            !numbers.reserve(likely < count ? count : likely < 512 * count ? likely : 512 * count))
            return false;
        for (int64_t s = 0; s < count; ++s) {  // a seed that comes twice has two rows, and is found as the first
            sample.node.data[s] = int32_t(seeds[s]);
            sample.tree.data[s] = int32_t(s);
            numbers.add(s, seeds[s], s);
        }
        sample.node.size = sample.tree.size = totals[3] = count;
        for (int64_t hop = 0, begin = 0; hop < hops; ++hop) {
            const int64_t end = sample.node.size, first = sample.entry.size;
            if (!offset.reserve(end - begin) || !draw(sample, begin, end, hop, offset.data, hop_key.data) ||
                !number(sample, numbers, first, begin))
                return false;
            totals[4 + hop] = sample.node.size - end;
            totals[4 + hops + hop] = sample.entry.size - first;
            begin = end;
        }
        totals[1] = sample.node.size;
        totals[2] = sample.entry.size;
        return true;
    }
};

}  // namespace

// totals: the sample, its nodes and edges; then its nodes: seeds and of each hop; then its edges of each hop.
EXPORT(sample_neighbours)(const int64_t* ptr, const int32_t* neighbour, const float* weight, const double* cumulative,
                          const int64_t* time, int64_t nodes, const int64_t* seeds, const int64_t* keys,
                          const int64_t* limit, int64_t count, const int64_t* fanouts, int64_t hops, int64_t replace,
                          int64_t disjoint, int64_t* totals, int64_t threads) {
    const Task task{{ptr, neighbour, weight, cumulative, time}, seeds, keys, limit, count, fanouts, nodes, hops,
                    replace != 0, disjoint != 0, threads};
    Sample* sample = static_cast<Sample*>(calloc(1, sizeof(Sample)));
    if (!sample) return 1;
    Numbers numbers(*sample, disjoint != 0);
    Buffer<int64_t> offset{};
    Buffer<uint64_t> hop_key{};
    const bool done = task.run(*sample, numbers, offset, hop_key, totals);
    free(offset.data);
    free(hop_key.data);
    if (!done) release(sample);
    totals[0] = done ? int64_t(reinterpret_cast<intptr_t>(sample)) : 0;
    return !done;
}

EXPORT(sample_neighbours_free)(int64_t handle) {
    release(reinterpret_cast<Sample*>(intptr_t(handle)));
    return 0;
}

// Copy a sample into arrays of its totals' sizes and free it; ids: the graph's edge of each entry, null: the entry.
EXPORT(sample_neighbours_take)(int64_t handle, const int64_t* ids, int64_t* node, int64_t* tree, int64_t* row,
                               int64_t* col, int64_t* entry, int64_t* edge) {
    Sample* sample = reinterpret_cast<Sample*>(intptr_t(handle));
    for (int64_t i = 0; i < sample->node.size; ++i) node[i] = sample->node.data[i];
    for (int64_t i = 0; tree && i < sample->tree.size; ++i) tree[i] = sample->tree.data[i];
    for (int64_t i = 0; i < sample->row.size; ++i) row[i] = sample->row.data[i];
    if (sample->entry.size) memcpy(entry, sample->entry.data, size_t(sample->entry.size) * sizeof(int64_t));
    for (int64_t i = 0; ids && i < sample->entry.size; ++i) edge[i] = ids[entry[i]];
    for (int64_t t = 0, e = 0; t < sample->count.size; ++t)
        for (int64_t i = 0; i < sample->count.data[t]; ++i) col[e++] = t;
    release(sample);
    return 0;
}
