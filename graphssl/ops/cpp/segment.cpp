// Reductions over the rows of a matrix (E, D) that carry the same index: sum, mean, max, min, softmax, logsumexp.
//
// A segment is the work of one thread, which meets its rows in their order; so no result depends on the threads.
// Sorted index: threads take pieces of the rows, moved to where a segment begins, small enough to stay in the cache
// between two passes. Unsorted: each thread walks all rows and keeps to its range of segments; finding the order of the
// rows by segment first was slower, up to 1.6 times, since then the rows are read and written out of order.
// Wide matrices are cut into blocks of columns too. Bound by reading the matrix.
#include "common.h"

namespace {

constexpr int64_t PIECE = 16384;  // entries of the matrix
constexpr int64_t BLOCK = 256;    // columns
constexpr int64_t RUN = 1024;     // rows of a sorted segment whose sum is added as one: a sum of 2^24 ones is right
constexpr int64_t NO_MEMORY = 1, OUT_OF_RANGE = 2;

// Rows [begin, end) as far as they belong to segments [low, high), columns [column, column + width).
struct Piece {
    const int64_t* index;
    int64_t begin, end, low, high, column, width;
    bool sorted;
};

// 1 if no entry is below the one before it, 0 if not, -1 if an entry is outside [0, segments).
int64_t is_sorted(const int64_t* index, int64_t rows, int64_t segments) {
    constexpr int64_t STEP = 4096;  // entries between two looks at what was found
    bool sorted = true;
    for (int64_t begin = 1; begin < rows && sorted; begin += STEP) {
        const int64_t end = begin + STEP < rows ? begin + STEP : rows;
        bool falls = false;
        for (int64_t e = begin; e < end; ++e) falls |= index[e] < index[e - 1];
        sorted = !falls;
    }
    if (sorted) return rows == 0 || (index[0] >= 0 && index[rows - 1] < segments) ? 1 : -1;
    bool outside = false;
    for (int64_t e = 0; e < rows; ++e) outside |= uint64_t(index[e]) >= uint64_t(segments);
    return outside ? -1 : 0;
}

// Calls body(piece), which returns 0 or an error, until each segment, with or without rows, was in one for each column.
template <typename Body>
int64_t for_pieces(const int64_t* index, int64_t rows, int64_t segments, int64_t columns, int64_t threads, Body body) {
    const int64_t order = is_sorted(index, rows, segments);
    if (order < 0) return OUT_OF_RANGE;
    const bool sorted = order && rows > 0;
    const int64_t blocks = (columns + BLOCK - 1) / BLOCK;
    const int64_t rows_each = columns < BLOCK ? PIECE / (columns + 1) + 1 : PIECE / BLOCK;
    const bool together = rows < 2 * rows_each || blocks >= threads;  // each part of unsorted rows walks all of them
    const int64_t parts = sorted ? (rows + rows_each - 1) / rows_each : together ? 1 : threads;
    const int64_t segments_each = (segments + parts - 1) / parts;
    int64_t status = 0;
    parallel_for(parts * blocks, 1, threads, [&](int64_t first, int64_t last) {
        for (int64_t task = first; task < last; ++task) {
            const int64_t part = task / blocks, column = task % blocks * BLOCK;
            Piece piece{index, 0, rows, part * segments_each, (part + 1) * segments_each, column, BLOCK, sorted};
            if (piece.width > columns - column) piece.width = columns - column;
            if (piece.high > segments) piece.high = segments;
            if (sorted) {
                int64_t begin = part * rows_each, end = begin + rows_each < rows ? begin + rows_each : rows;
                while (begin > 0 && begin < end && index[begin] == index[begin - 1]) ++begin;
                if (begin == end) continue;  // in the middle of a segment that began earlier
                while (end < rows && index[end] == index[end - 1]) ++end;
                piece.begin = begin, piece.end = end;
                piece.low = begin > 0 ? index[begin - 1] + 1 : 0;
                piece.high = end < rows ? index[end - 1] + 1 : segments;
            }
            if (const int64_t failed = piece.low < piece.high ? body(piece) : 0)
                __atomic_store_n(&status, failed, __ATOMIC_RELAXED);
        }
    });
    return status;
}

// A row for each segment of a piece: freed at the end of the block.
template <typename T> struct Rows {
    T* data;
    const int64_t low, width;

    Rows(const Piece& piece, int64_t columns) : low(piece.low), width(columns) {
        data = static_cast<T*>(calloc((piece.high - piece.low) * width + 1, sizeof(T)));
    }
    ~Rows() { free(data); }
    Rows(const Rows&) = delete;
    T* operator[](int64_t segment) const { return data + (segment - low) * width; }
};

// Calls body(row, segment, width) for each row of a piece; the width of single columns is a constant to the compiler.
template <typename Body>
inline __attribute__((always_inline)) void for_rows(const Piece& piece, Body body) {
    const bool all = piece.sorted, one = piece.width == 1;
    for (int64_t e = piece.begin; e < piece.end; ++e) {
        const int64_t s = piece.index[e];
        if (!all && (s < piece.low || s >= piece.high)) continue;
        if (one)
            body(e, s, 1);
        else
            body(e, s, piece.width);
    }
}

struct Sum {
    template <typename T> static T start() { return T(0); }
    template <typename T> static T join(T a, T b) { return a + b; }
};
struct Max {  // NaN wins
    template <typename T> static T start() { return T(-INFINITY); }
    template <typename T> static T join(T a, T b) { return (b > a) | (b != b) ? b : a; }
};
struct Min {
    template <typename T> static T start() { return T(INFINITY); }
    template <typename T> static T join(T a, T b) { return (b < a) | (b != b) ? b : a; }
};

template <typename T, int64_t BYTES> struct Lane {  // arithmetic works entry by entry
    typedef T Type __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
};

// NUMBER lanes of columns of `count` rows that follow each other, kept in registers.
template <typename Op, int64_t NUMBER, typename V, typename T>
int64_t strip(const T* src, int64_t ld, int64_t count, T divisor, T* out) {
    constexpr int64_t EACH = sizeof(V) / sizeof(T);
    V total[NUMBER], kept[NUMBER];
    for (int64_t k = 0; k < NUMBER; ++k) total[k] = V{} + Op::template start<T>();
    for (int64_t begin = 0; begin < count; begin += RUN) {
        const int64_t end = begin + RUN < count ? begin + RUN : count;
        for (int64_t k = 0; k < NUMBER; ++k) kept[k] = V{} + Op::template start<T>();
        for (int64_t e = begin; e < end; ++e)
            for (int64_t k = 0; k < NUMBER; ++k)
                kept[k] = Op::join(kept[k], *reinterpret_cast<const V*>(src + e * ld + k * EACH));
        for (int64_t k = 0; k < NUMBER; ++k) total[k] = Op::join(total[k], kept[k]);
    }
    for (int64_t k = 0; k < NUMBER; ++k) *reinterpret_cast<V*>(out + k * EACH) = total[k] / divisor;
    return NUMBER * EACH;
}

template <typename Op, typename T>
void reduce_sorted(const Piece& piece, const T* src, T* out, int64_t ld, bool mean) {
    typedef typename Lane<T, 64>::Type Wide;
    typedef typename Lane<T, 32>::Type Small;
    typedef typename Lane<T, 2 * sizeof(T)>::Type Pair;
    constexpr int64_t LINE = 64 / sizeof(T), SMALL = 32 / sizeof(T);
    const int64_t width = piece.width;
    for (int64_t s = piece.low, e = piece.begin; s < piece.high; ++s) {
        const T* from = src + e * ld;
        T* to = out + s * ld;
        const int64_t first = e;
        while (e < piece.end && piece.index[e] == s) ++e;
        const int64_t count = e - first;
        const T divisor = mean ? T(count) : T(1);
        int64_t j = 0;
        if (count == 0)
            for (; j < width; ++j) to[j] = T(0);
        while (j + 8 * LINE <= width) j += strip<Op, 8, Wide>(from + j, ld, count, divisor, to + j);
        while (j + 4 * LINE <= width) j += strip<Op, 4, Wide>(from + j, ld, count, divisor, to + j);
        while (j + 2 * LINE <= width) j += strip<Op, 2, Wide>(from + j, ld, count, divisor, to + j);
        while (j + SMALL <= width) j += strip<Op, 1, Small>(from + j, ld, count, divisor, to + j);
        if (j < width && j >= SMALL) {  // some columns once more, which is faster than one by one
            j = width - SMALL;
            j += strip<Op, 1, Small>(from + j, ld, count, divisor, to + j);
        }
        while (j + 2 <= width) j += strip<Op, 1, Pair>(from + j, ld, count, divisor, to + j);
        if (j < width) strip<Op, 1, T>(from + j, ld, count, divisor, to + j);
    }
}

template <typename Op, typename T>
int64_t reduce_unsorted(const Piece& piece, const T* src, T* out, int64_t ld, bool mean) {
    Rows<int64_t> count(piece, 1);
    if (!count.data) return NO_MEMORY;
    for (int64_t s = piece.low; s < piece.high; ++s)
        for (int64_t j = 0; j < piece.width; ++j) out[s * ld + j] = Op::template start<T>();
    for_rows(piece, [=, &count](int64_t e, int64_t s, int64_t width) {
        const T* __restrict from = src + e * ld;
        T* __restrict to = out + s * ld;
        ++*count[s];
        for (int64_t j = 0; j < width; ++j) to[j] = Op::join(to[j], from[j]);
    });
    for (int64_t s = piece.low; s < piece.high; ++s) {
        const int64_t found = *count[s];
        for (int64_t j = 0; j < piece.width; ++j)
            out[s * ld + j] = found == 0 ? T(0) : mean ? out[s * ld + j] / T(found) : out[s * ld + j];
    }
    return 0;
}

template <typename Op, typename T>
int64_t reduce(const int64_t* index, const T* src, T* out, int64_t rows, int64_t segments, int64_t columns, bool mean,
               int64_t threads) {
    return for_pieces(index, rows, segments, columns, threads, [=](const Piece& piece) -> int64_t {
        const T* from = src + piece.column;
        T* to = out + piece.column;
        if (!piece.sorted) return reduce_unsorted<Op>(piece, from, to, columns, mean);
        reduce_sorted<Op>(piece, from, to, columns, mean);
        return 0;
    });
}

// Where src is the extreme of its segment: the gradient, shared evenly among equals. 0 elsewhere.
template <typename T>
int64_t extreme_backward(const int64_t* index, const T* grad, const T* src, const T* out, T* to, int64_t rows,
                         int64_t segments, int64_t ld, int64_t threads) {
    return for_pieces(index, rows, segments, ld, threads, [=](const Piece& piece) -> int64_t {
        Rows<T> share(piece, piece.width);  // first the number of equals
        if (!share.data) return NO_MEMORY;
        const int64_t c = piece.column;
        for_rows(piece, [=, &share](int64_t e, int64_t s, int64_t width) {
            T* __restrict sum = share[s];
            for (int64_t j = 0; j < width; ++j) sum[j] += T(src[e * ld + c + j] == out[s * ld + c + j]);
        });
        for (int64_t s = piece.low; s < piece.high; ++s)
            for (int64_t j = 0; j < piece.width; ++j) share[s][j] = grad[s * ld + c + j] / share[s][j];
        for_rows(piece, [=, &share](int64_t e, int64_t s, int64_t width) {
            T* __restrict row = to + e * ld + c;
            const T* mine = share[s];
            for (int64_t j = 0; j < width; ++j) row[j] = T(src[e * ld + c + j] == out[s * ld + c + j]) * mine[j];
        });
        return 0;
    });
}

// exp(x) for x <= 0, to 2 units in the last place; 0 below -87, NaN of NaN. Without branches, so loops are vectorised.
inline float exponential(float x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, found in the low bits
    const float shifted = x * 1.44269504f + magic;
    const float n = shifted - magic;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
    float power = 1.0f / 5040;
    power = power * r + 1.0f / 720;
    power = power * r + 1.0f / 120;
    power = power * r + 1.0f / 24;
    power = power * r + 1.0f / 6;
    power = power * r + 0.5f;
    power = power * r + 1.0f;
    power = power * r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < -87.0f ? 0.0f : power * scale;
}
inline double exponential(double x) { return exp(x); }
inline float logarithm(float x) { return logf(x); }
inline double logarithm(double x) { return log(x); }

constexpr int64_t BUFFER = 2048;  // exponentials taken at once, whatever the width of a row

// softmax: out (rows, ld), else logsumexp: out (segments, ld).
template <bool SOFTMAX, typename T>
int64_t exponentials(const int64_t* index, const T* src, T* out, int64_t rows, int64_t segments, int64_t ld,
                     int64_t threads) {
    return for_pieces(index, rows, segments, ld, threads, [=](const Piece& piece) -> int64_t {
        const int64_t c = piece.column, size = (piece.high - piece.low) * piece.width;
        Rows<T> top(piece, piece.width), total(piece, piece.width);
        if (!top.data || !total.data) return NO_MEMORY;
        for (int64_t k = 0; k < size; ++k) top.data[k] = T(-INFINITY);
        for_rows(piece, [=, &top](int64_t e, int64_t s, int64_t width) {
            T* __restrict to = top[s];
            for (int64_t j = 0; j < width; ++j) to[j] = Max::join(to[j], src[e * ld + c + j]);
        });
        for (int64_t k = 0; k < size; ++k) top.data[k] = top.data[k] == T(-INFINITY) ? T(0) : top.data[k];

        T buffer[BUFFER] = {};
        int64_t waiting[BUFFER], whose[BUFFER], held = 0;  // rows and their segments
        const int64_t room = BUFFER / piece.width;
        auto flush = [&] {
            for (int64_t k = 0; k < held * piece.width; k += 16)  // never one by one: bits could differ
                for (int64_t i = k; i < k + 16; ++i) buffer[i] = exponential(buffer[i]);
            for (int64_t i = 0; i < held; ++i) {
                const T* from = buffer + i * piece.width;
                T* __restrict to = total[whose[i]];
                for (int64_t j = 0; j < piece.width; ++j) to[j] += from[j];
                if (SOFTMAX) memcpy(out + waiting[i] * ld + c, from, piece.width * sizeof(T));
            }
            held = 0;
        };
        for_rows(piece, [&](int64_t e, int64_t s, int64_t width) {
            for (int64_t j = 0; j < width; ++j) buffer[held * width + j] = src[e * ld + c + j] - top[s][j];
            waiting[held] = e, whose[held++] = s;
            if (held == room) flush();
        });
        flush();

        if (SOFTMAX) {
            for (int64_t k = 0; k < size; ++k) total.data[k] = T(1) / total.data[k];
            for_rows(piece, [=, &total](int64_t e, int64_t s, int64_t width) {
                const T* __restrict factor = total[s];
                for (int64_t j = 0; j < width; ++j) out[e * ld + c + j] *= factor[j];
            });
        } else {
            for (int64_t s = piece.low; s < piece.high; ++s)
                for (int64_t j = 0; j < piece.width; ++j) {
                    const T largest = top[s][j], sum = total[s][j];  // of exp(inf - inf): NaN
                    out[s * ld + c + j] =
                        largest == T(INFINITY) ? largest : sum == T(0) ? T(-INFINITY) : logarithm(sum) + largest;
                }
        }
        return 0;
    });
}

// out * (grad - sum of out * grad over the segment)
template <typename T>
int64_t softmax_backward(const int64_t* index, const T* grad, const T* out, T* to, int64_t rows, int64_t segments,
                         int64_t ld, int64_t threads) {
    return for_pieces(index, rows, segments, ld, threads, [=](const Piece& piece) -> int64_t {
        Rows<T> dot(piece, piece.width);
        if (!dot.data) return NO_MEMORY;
        for_rows(piece, [=, &dot, c = piece.column](int64_t e, int64_t s, int64_t width) {
            T* __restrict sum = dot[s];
            for (int64_t j = 0; j < width; ++j) sum[j] += out[e * ld + c + j] * grad[e * ld + c + j];
        });
        for_rows(piece, [=, &dot, c = piece.column](int64_t e, int64_t s, int64_t width) {
            T* __restrict row = to + e * ld + c;
            const T* sum = dot[s];
            for (int64_t j = 0; j < width; ++j) row[j] = out[e * ld + c + j] * (grad[e * ld + c + j] - sum[j]);
        });
        return 0;
    });
}

// grad[s] * exp(src - out[s]), row by row
template <typename T>
int64_t logsumexp_backward(const int64_t* index, const T* grad, const T* src, const T* out, T* to, int64_t rows,
                           int64_t segments, int64_t ld, int64_t threads) {
    if (is_sorted(index, rows, segments) < 0) return OUT_OF_RANGE;
    parallel_for(rows, PIECE / (ld + 1) + 1, threads, [=](int64_t begin, int64_t end) {
        const Piece piece{index, begin, end, 0, segments, 0, ld, true};
        for_rows(piece, [=](int64_t e, int64_t s, int64_t width) {
            T* __restrict row = to + e * ld;
            const T *x = src + e * ld, *largest = out + s * ld;
            for (int64_t j = 0; j < width; ++j) row[j] = x[j] - (largest[j] == T(-INFINITY) ? T(0) : largest[j]);
        });
        for (int64_t k = begin * ld; k < end * ld; ++k) to[k] = exponential(to[k]);
        for_rows(piece, [=](int64_t e, int64_t s, int64_t width) {
            for (int64_t j = 0; j < width; ++j) to[e * ld + j] *= grad[s * ld + j];
        });
    });
    return 0;
}

template <typename T>
int64_t reduce_by_name(const int64_t* index, const T* src, T* out, int64_t rows, int64_t segments, int64_t columns,
                       int64_t name, int64_t threads) {
    if (name == 2) return reduce<Max>(index, src, out, rows, segments, columns, false, threads);
    if (name == 3) return reduce<Min>(index, src, out, rows, segments, columns, false, threads);
    return reduce<Sum>(index, src, out, rows, segments, columns, name == 1, threads);
}

}  // namespace

// `name` of the reduction: 0 sum, 1 mean, 2 max, 3 min. All return 1 without memory, 2 if the index is out of range.
#define KERNELS(T, SUFFIX)                                                                                             \
    EXPORT(segment_reduce_##SUFFIX)(const int64_t* index, const T* src, T* out, int64_t rows, int64_t segments,        \
                                    int64_t columns, int64_t name, int64_t threads) {                                  \
        return reduce_by_name(index, src, out, rows, segments, columns, name, threads);                                \
    }                                                                                                                  \
    EXPORT(segment_extreme_backward_##SUFFIX)(const int64_t* index, const T* grad, const T* src, const T* out, T* to,  \
                                              int64_t rows, int64_t segments, int64_t columns, int64_t threads) {      \
        return extreme_backward(index, grad, src, out, to, rows, segments, columns, threads);                          \
    }                                                                                                                  \
    EXPORT(segment_softmax_##SUFFIX)(const int64_t* index, const T* src, T* out, int64_t rows, int64_t segments,       \
                                     int64_t columns, int64_t threads) {                                               \
        return exponentials<true>(index, src, out, rows, segments, columns, threads);                                  \
    }                                                                                                                  \
    EXPORT(segment_softmax_backward_##SUFFIX)(const int64_t* index, const T* grad, const T* out, T* to, int64_t rows,  \
                                              int64_t segments, int64_t columns, int64_t threads) {                    \
        return softmax_backward(index, grad, out, to, rows, segments, columns, threads);                               \
    }                                                                                                                  \
    EXPORT(segment_logsumexp_##SUFFIX)(const int64_t* index, const T* src, T* out, int64_t rows, int64_t segments,     \
                                       int64_t columns, int64_t threads) {                                             \
        return exponentials<false>(index, src, out, rows, segments, columns, threads);                                 \
    }                                                                                                                  \
    EXPORT(segment_logsumexp_backward_##SUFFIX)(const int64_t* index, const T* grad, const T* src, const T* out,       \
                                                T* to, int64_t rows, int64_t segments, int64_t columns,                \
                                                int64_t threads) {                                                     \
        return logsumexp_backward(index, grad, src, out, to, rows, segments, columns, threads);                        \
    }

KERNELS(float, f32)
KERNELS(double, f64)
