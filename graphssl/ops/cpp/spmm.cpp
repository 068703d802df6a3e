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
constexpr int64_t ROWS = 64;  // rows handed to a thread at a time

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

    // COUNT registers of the result, from column `at` on.
    template <int64_t COUNT> void strip(int64_t first, int64_t last, T* to, int64_t at) const {
        Vec<T> sum[COUNT] = {};
        for (int64_t e = first; e < last; ++e) {
            if (e + AHEAD < last) {
                const T* later = row(e + AHEAD) + at;
                for (int64_t k = 0; k < COUNT; ++k) __builtin_prefetch(later + k * LANES<T>);
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

    void rest(int64_t first, int64_t last, T* to, int64_t at) const {
        for (int64_t j = at; j < width; ++j) to[j] = 0;
        for (int64_t e = first; e < last; ++e) {
            const T v = value[e];
            const T* from = row(e);
            for (int64_t j = at; j < width; ++j) to[j] += v * from[j];
        }
        for (int64_t j = at; j < width; ++j) to[j] = finish(to[j], j);
    }

    void rows(int64_t begin, int64_t end) const {
        for (int64_t r = begin; r < end; ++r) {
            T* to = out + (scatter ? scatter[r] : r) * width;
            int64_t j = 0;
            for (; j + 8 * LANES<T> <= width; j += 8 * LANES<T>) strip<8>(ptr[r], ptr[r + 1], to, j);
            for (; j + 2 * LANES<T> <= width; j += 2 * LANES<T>) strip<2>(ptr[r], ptr[r + 1], to, j);
            if (j < width) rest(ptr[r], ptr[r + 1], to, j);
        }
    }
};

template <typename T> int64_t run(const Product<T>& product, int64_t rows, int64_t threads) {
    parallel_for(rows, ROWS, threads, [&](int64_t begin, int64_t end) { product.rows(begin, end); });
    return 0;
}

}  // namespace

EXPORT(spmm_f32)(const int32_t* ptr, const int32_t* col, const float* value, const int64_t* gather,
                 const int64_t* scatter, const float* x, float* out, const float* bias, int64_t leaky, double slope,
                 int64_t rows, int64_t width, int64_t threads) {
    return run<float>({ptr, col, value, gather, scatter, x, out, bias, width, leaky != 0, float(slope)}, rows, threads);
}

EXPORT(spmm_f64)(const int32_t* ptr, const int32_t* col, const double* value, const int64_t* gather,
                 const int64_t* scatter, const double* x, double* out, const double* bias, int64_t leaky, double slope,
                 int64_t rows, int64_t width, int64_t threads) {
    return run<double>({ptr, col, value, gather, scatter, x, out, bias, width, leaky != 0, slope}, rows, threads);
}
