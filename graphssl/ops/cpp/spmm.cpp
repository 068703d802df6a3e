// Sparse (CSR) times dense, row by row, with what a layer does to the result: out[r] = f(sum of v * x[c] + bias).
//
// The columns are cut into strips that stay in registers while the entries of a row are walked, so a row of the result
// is written once. Bound by reading a row of x for every entry.
//
// gather: row c of x is found at x[gather[c]].  scatter: row r of the result goes to out[scatter[r]].
// leaky: f(t) = t > 0 ? t : slope * t; otherwise f is the identity.
#include "common.h"

namespace {

constexpr int64_t AHEAD = 4;  // entries whose row is fetched in advance
constexpr int64_t LINES = 64;  // of rows of one strip that are fetched in advance, beyond the row of the result
constexpr int64_t ROWS = 64;  // rows handed to a thread at a time
constexpr int64_t NEAR = 8 << 20;  // bytes of x beyond which rows are fetched into the second cache, not the first
constexpr int64_t FIRST_CACHE = 96 << 10;  // bytes of x read from the first cache and the near part of the second

template <typename T> struct Product {
    const int32_t* ptr;
    const int32_t* col;
    const T* value;
    const int64_t* gather;
    const int64_t* scatter;
    const T* x;
    T* out;
    const T* bias;
    int64_t width;
    bool leaky;
    T slope;

    const T* row(int64_t entry) const { return x + (gather ? gather[col[entry]] : int64_t(col[entry])) * width; }

    T finish(T sum, int64_t j) const {
        if (bias) sum += bias[j];
        return leaky && !(sum > 0) ? slope * sum : sum;
    }

    // COUNT registers of the result, from column `at` on. INTO: the cache into which rows of x are fetched in advance, 0
    // for none. ONE: rows have one strip, and those of the next rows' entries, up to `known`, are fetched too.
    template <int64_t COUNT, int INTO, bool ONE>
    void strip(int64_t first, int64_t last, int64_t known, T* to, int64_t at) const {
        constexpr int64_t ahead = ONE ? LINES / COUNT : AHEAD;
        Vec<T> sum[COUNT] = {};
        for (int64_t e = first; e < last; ++e) {
            if (INTO && e + ahead < (ONE ? known : last)) {
                const T* later = row(e + ahead) + at;
                for (int64_t k = 0; k < COUNT; ++k) __builtin_prefetch(later + k * LANES<T>, 0, INTO == 1 ? 3 : 2);
            }
            const T v = value[e];
            const T* from = row(e) + at;
            for (int64_t k = 0; k < COUNT; ++k) sum[k] += v * load(from + k * LANES<T>);
        }
        for (int64_t k = 0; k < COUNT; ++k) {
            Vec<T> total = sum[k];
            if (bias) total += load(bias + at + k * LANES<T>);
            if (leaky) total = total > 0 ? total : slope * total;
            store(to + at + k * LANES<T>, total);
        }
    }

    void rest(int64_t first, int64_t last, T* to, int64_t at, int64_t end) const {
        for (int64_t j = at; j < end; ++j) to[j] = 0;
        for (int64_t e = first; e < last; ++e) {
            const T v = value[e];
            const T* from = row(e);
            for (int64_t j = at; j < end; ++j) to[j] += v * from[j];
        }
        for (int64_t j = at; j < end; ++j) to[j] = finish(to[j], j);
    }

    // Columns [left, right) of the rows [begin, end).
    template <int INTO, bool ONE> void block(int64_t begin, int64_t end, int64_t left, int64_t right) const {
        for (int64_t r = begin; r < end; ++r) {
            T* to = out + (scatter ? scatter[r] : r) * width;
            const int64_t first = ptr[r], last = ptr[r + 1], known = ptr[end];
            int64_t j = left;
            for (; j + 8 * LANES<T> <= right; j += 8 * LANES<T>) strip<8, INTO, ONE>(first, last, known, to, j);
            if (j + 4 * LANES<T> <= right) strip<4, INTO, ONE>(first, last, known, to, j), j += 4 * LANES<T>;
            if (j + 2 * LANES<T> <= right) strip<2, INTO, ONE>(first, last, known, to, j), j += 2 * LANES<T>;
            if (j + LANES<T> <= right) strip<1, INTO, ONE>(first, last, known, to, j), j += LANES<T>;
            if (j < right) rest(first, last, to, j, right);
        }
    }
};

template <typename T> int64_t run(const Product<T>& product, int64_t rows, int64_t sources, int64_t threads) {
    // Few rows of x (a weight), each met many times: strips of them that fit the first cache, one after the other.
    const bool few = sources * 2 * 64 <= FIRST_CACHE && product.ptr[rows] >= 8 * sources;
    const int64_t columns = few ? 2 * LANES<T> : product.width;
    const bool one = product.width <= 8 * LANES<T>, far = sources * product.width * int64_t(sizeof(T)) > NEAR;
    for (int64_t left = 0; left < product.width; left += columns) {
        const int64_t right = left + columns < product.width ? left + columns : product.width;
        parallel_for(rows, few ? 4096 : ROWS, threads, [&](int64_t begin, int64_t end) {
            if (few)
                product.template block<0, false>(begin, end, left, right);
            else if (one && far)
                product.template block<2, true>(begin, end, left, right);
            else if (one)
                product.template block<1, true>(begin, end, left, right);
            else if (far)
                product.template block<2, false>(begin, end, left, right);
            else
                product.template block<1, false>(begin, end, left, right);
        });
    }
    return 0;
}

// out[c] = sum over the entries (r, c, v) of v * x[r]: the transposed product without the transposed matrix. For few
// rows of the result, of which a strip stays in the first cache while x is read once. A thread owns whole strips.
template <typename T>
int64_t run_transposed(const int32_t* ptr, const int32_t* col, const T* value, const T* x, T* out, int64_t rows,
                       int64_t targets, int64_t width, int64_t threads) {
    const int64_t columns = LANES<T>, strips = (width + columns - 1) / columns;
    int64_t failed = 0;
    parallel_for(strips, 1, threads, [=, &failed](int64_t begin, int64_t) {
        const int64_t left = begin * columns;
        if (left + columns <= width) {
            Vec<T>* sums = static_cast<Vec<T>*>(aligned_alloc(64, size_t(targets > 0 ? targets : 1) * 64));
            if (!sums) {
                __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
                return;
            }
            for (int64_t c = 0; c < targets; ++c) sums[c] = Vec<T>{};
            for (int64_t r = 0; r < rows; ++r) {
                const Vec<T> from = load(x + r * width + left);
                for (int64_t e = ptr[r]; e < ptr[r + 1]; ++e) sums[col[e]] += value[e] * from;
            }
            for (int64_t c = 0; c < targets; ++c) store(out + c * width + left, sums[c]);
            free(sums);
            return;
        }
        for (int64_t c = 0; c < targets; ++c)
            for (int64_t j = left; j < width; ++j) out[c * width + j] = 0;
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t e = ptr[r]; e < ptr[r + 1]; ++e)
                for (int64_t j = left; j < width; ++j) out[col[e] * width + j] += value[e] * x[r * width + j];
    });
    return failed;
}

}  // namespace

EXPORT(spmm_f32)(const int32_t* ptr, const int32_t* col, const float* value, const int64_t* gather,
                 const int64_t* scatter, const float* x, float* out, const float* bias, int64_t leaky, double slope,
                 int64_t rows, int64_t sources, int64_t width, int64_t threads) {
    return run<float>({ptr, col, value, gather, scatter, x, out, bias, width, leaky != 0, float(slope)}, rows, sources,
                      threads);
}

EXPORT(spmm_f64)(const int32_t* ptr, const int32_t* col, const double* value, const int64_t* gather,
                 const int64_t* scatter, const double* x, double* out, const double* bias, int64_t leaky, double slope,
                 int64_t rows, int64_t sources, int64_t width, int64_t threads) {
    return run<double>({ptr, col, value, gather, scatter, x, out, bias, width, leaky != 0, slope}, rows, sources,
                       threads);
}

EXPORT(spmm_transposed_f32)(const int32_t* ptr, const int32_t* col, const float* value, const float* x, float* out,
                            int64_t rows, int64_t targets, int64_t width, int64_t threads) {
    return run_transposed(ptr, col, value, x, out, rows, targets, width, threads);
}

EXPORT(spmm_transposed_f64)(const int32_t* ptr, const int32_t* col, const double* value, const double* x, double* out,
                            int64_t rows, int64_t targets, int64_t width, int64_t threads) {
    return run_transposed(ptr, col, value, x, out, rows, targets, width, threads);
}
