// A sparse matrix from its entries in any order: by row, then by column, equal places as they were given; on request with
// one loop on each node, and normalised.
#include "common.h"

namespace {

constexpr int64_t SHORT = 16;  // entries that are put in order by insertion

template <typename T> struct Entry {
    int32_t col;
    T value;
};

template <typename T> void insert(Entry<T>* entry, int64_t n) {
    for (int64_t i = 1; i < n; ++i) {
        const Entry<T> moved = entry[i];
        int64_t at = i;
        for (; at > 0 && entry[at - 1].col > moved.col; --at) entry[at] = entry[at - 1];
        entry[at] = moved;
    }
}

// Stable, and one pass over what is in order already. spare: room for n / 2 + SHORT entries.
template <typename T> void sort(Entry<T>* entry, int64_t n, Entry<T>* spare) {
    if (n <= SHORT) return insert(entry, n);
    const int64_t half = n / 2;
    sort(entry, half, spare);
    sort(entry + half, n - half, spare);
    if (entry[half - 1].col <= entry[half].col) return;
    memcpy(static_cast<void*>(spare), entry, size_t(half) * sizeof(Entry<T>));
    for (int64_t left = 0, right = half, to = 0; left < half; ++to) {
        const bool second = right < n && entry[right].col < spare[left].col;
        entry[to] = second ? entry[right++] : spare[left++];
    }
}

// Entries in any order, and what the matrix makes of them.
template <typename T> struct Given {
    const int64_t* row;
    const int64_t* col;
    const T* value;
    int64_t count;
    const T* loop;   // what each node's own loop weighs, instead of those that were given; null: as given
    const T* scale;  // of nodes; null: none
    bool both;       // of both ends, or of the row alone

    bool replaced(int64_t e) const { return loop && row[e] == col[e]; }
    T scaled(int64_t r, const Entry<T>& entry) const {
        if (!scale) return entry.value;
        return both ? scale[r] * entry.value * scale[entry.col] : entry.value * scale[r];
    }
};

// The rows [begin, end): every entry is looked at, those of these rows are taken.
template <typename T>
bool fill(const Given<T>& given, int64_t begin, int64_t end, const int32_t* ptr, int32_t* out_col, T* out_value) {
    const int64_t first = ptr[begin], mine = ptr[end] - first;
    int64_t longest = 0;
    for (int64_t r = begin; r < end; ++r) longest = ptr[r + 1] - ptr[r] > longest ? ptr[r + 1] - ptr[r] : longest;
    int32_t* next = static_cast<int32_t*>(malloc(size_t(end - begin + 1) * sizeof(int32_t)));
    Entry<T>* entry = static_cast<Entry<T>*>(malloc(size_t(mine + longest / 2 + SHORT) * sizeof(Entry<T>)));
    const bool done = next && entry;
    if (done) {
        for (int64_t r = begin; r < end; ++r) next[r - begin] = int32_t(ptr[r] - first);
        for (int64_t e = 0; e < given.count; ++e) {
            const int64_t r = given.row[e];
            if (r >= begin && r < end && !given.replaced(e))
                entry[next[r - begin]++] = {int32_t(given.col[e]), given.value[e]};
        }
        for (int64_t r = begin; r < end; ++r) {
            if (given.loop) entry[next[r - begin]] = {int32_t(r), given.loop[r]};
            sort(entry + (ptr[r] - first), ptr[r + 1] - ptr[r], entry + mine);
            for (int64_t e = ptr[r]; e < ptr[r + 1]; ++e) {
                out_col[e] = entry[e - first].col;
                out_value[e] = given.scaled(r, entry[e - first]);
            }
        }
    }
    free(next);
    free(entry);
    return done;
}

enum Norm { BOTH, ROW, NONE };  // as NORMS in ops/_compress.py has them

// Several loops on one node: the last one's weight counts.
template <typename T>
int64_t run(const int64_t* row, const int64_t* col, const T* value, int64_t entries, int64_t rows, int64_t loops,
            int64_t norm, int64_t sum, T* degree, int32_t* ptr, int32_t* out_col, T* out_value, int64_t threads) {
    T* loop = static_cast<T*>(malloc(size_t(rows + 1) * sizeof(T)));
    T* scale = static_cast<T*>(malloc(size_t(rows + 1) * sizeof(T)));
    int64_t failed = !(loop && scale);
    if (!failed) {
        memset(ptr, 0, size_t(rows + 1) * sizeof(int32_t));
        for (int64_t r = 0; r < rows; ++r) loop[r] = 1;
        if (sum) memset(degree, 0, size_t(rows) * sizeof(T));
        for (int64_t e = 0; e < entries; ++e) {
            if (loops && row[e] == col[e]) {
                loop[row[e]] = value[e];
            } else {
                ++ptr[row[e] + 1];
                if (sum) degree[row[e]] += value[e];
            }
        }
        for (int64_t r = 0; r < rows; ++r) {
            ptr[r + 1] += ptr[r] + (loops ? 1 : 0);
            if (sum && loops) degree[r] += loop[r];
        }
        if (norm != NONE)
            for (int64_t r = 0; r < rows; ++r)
                scale[r] = degree[r] == 0 ? 0 : 1 / (norm == BOTH ? T(sqrt(degree[r])) : degree[r]);
        const Given<T> given{row, col, value, entries, loops ? loop : nullptr, norm == NONE ? nullptr : scale, norm == BOTH};
        parallel_for(rows, (rows + threads - 1) / threads, threads, [&](int64_t begin, int64_t end) {
            if (!fill(given, begin, end, ptr, out_col, out_value))
                __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
        });
    }
    free(loop);
    free(scale);
    return failed;
}

// The transpose: rows in turn put their entries behind what their columns have already.
template <typename T>
int64_t run_transposed(const int32_t* ptr, const int32_t* col, const T* value, int64_t rows, int64_t cols,
                       int32_t* out_ptr, int32_t* out_col, T* out_value) {
    int32_t* next = static_cast<int32_t*>(malloc(size_t(cols + 1) * sizeof(int32_t)));
    if (!next) return 1;
    memset(out_ptr, 0, size_t(cols + 1) * sizeof(int32_t));
    for (int64_t e = 0; e < ptr[rows]; ++e) ++out_ptr[col[e] + 1];
    for (int64_t c = 0; c < cols; ++c) out_ptr[c + 1] += out_ptr[c];
    memcpy(next, out_ptr, size_t(cols) * sizeof(int32_t));
    for (int64_t r = 0; r < rows; ++r) {
        for (int64_t e = ptr[r]; e < ptr[r + 1]; ++e) {
            const int32_t to = next[col[e]]++;
            out_col[to] = int32_t(r);
            out_value[to] = value[e];
        }
    }
    free(next);
    return 0;
}

}  // namespace

// row, col: in range. ptr: rows + 1 sums; all counts fit 32 bits. With loops, room for one more entry a row. degree: read
// for a norm, and with sum written first: the row's values, its loop the last of them.
EXPORT(compress_f32)(const int64_t* row, const int64_t* col, const float* value, int64_t entries, int64_t rows,
                     int64_t loops, int64_t norm, int64_t sum, float* degree, int32_t* ptr, int32_t* out_col,
                     float* out_value, int64_t threads) {
    return run(row, col, value, entries, rows, loops, norm, sum, degree, ptr, out_col, out_value, threads);
}

EXPORT(compress_f64)(const int64_t* row, const int64_t* col, const double* value, int64_t entries, int64_t rows,
                     int64_t loops, int64_t norm, int64_t sum, double* degree, int32_t* ptr, int32_t* out_col,
                     double* out_value, int64_t threads) {
    return run(row, col, value, entries, rows, loops, norm, sum, degree, ptr, out_col, out_value, threads);
}

EXPORT(transpose_f32)(const int32_t* ptr, const int32_t* col, const float* value, int64_t rows, int64_t cols,
                      int32_t* out_ptr, int32_t* out_col, float* out_value) {
    return run_transposed(ptr, col, value, rows, cols, out_ptr, out_col, out_value);
}

EXPORT(transpose_f64)(const int32_t* ptr, const int32_t* col, const double* value, int64_t rows, int64_t cols,
                      int32_t* out_ptr, int32_t* out_col, double* out_value) {
    return run_transposed(ptr, col, value, rows, cols, out_ptr, out_col, out_value);
}
