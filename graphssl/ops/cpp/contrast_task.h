// One block of rows against one block of columns: its share of the sums, and of the gradients.
//
// Product is the way to multiply, see Float32 in contrast.cpp.
#pragma once
#include "contrast_strips.h"

namespace {

// Sums of 2^x, each as a shift and the sum of 2^(x - shift).
struct Sums {
    float* shift;
    double* sum;
};

static inline void merge(const Sums& all, int64_t i, float shift, double sum) {
    if (shift > all.shift[i]) {
        all.sum[i] *= ::exp2(double(all.shift[i]) - double(shift));
        all.shift[i] = shift;
    } else if (shift < all.shift[i]) {
        sum *= ::exp2(double(shift) - double(all.shift[i]));
    }
    all.sum[i] += sum;
}

// Adds a task to the sums over its rows and, if they count, its columns.
template <typename Product>
static void forward(const Product& product, const Task& task, const Skipped& skipped, float unit, float bound,
                    const Sums& over_rows, const Sums& over_columns, char* scratch) {
    constexpr int64_t R = Product::STRIP;
    float* scores = reinterpret_cast<float*>(scratch);  // (R, STRIDE)
    float shift[R], sum[R];
    Columns columns;
    const int64_t width = up(task.columns, Product::UNIT);
    for (int64_t c = 0; c < width; ++c) columns.shift[c] = bound < 0 ? LOWEST : bound, columns.sum[c] = 0;
    for (int64_t i = task.i; i < task.i + task.rows; i += R) {
        const int64_t rows = least(R, task.i + task.rows - i);
        product.scores(i, task.j, width, scores);
        skip(scores, i, rows, width, task, skipped);
        if (bound < 0) {
            add_running(scores, rows, width, unit, shift, sum, task.both ? &columns : nullptr);
        } else if (rows == R) {
            add_bounded<R>(scores, width, unit, bound, sum, columns.sum);
        } else {
            for (int64_t r = 0; r < rows; ++r)
                add_bounded<1>(scores + r * STRIDE, width, unit, bound, sum + r, columns.sum);
        }
        for (int64_t r = 0; r < rows; ++r) merge(over_rows, i + r, bound < 0 ? shift[r] : bound, sum[r]);
    }
    if (!task.both) return;
    for (int64_t c = 0; c < task.columns; ++c) merge(over_columns, task.j + c, columns.shift[c], columns.sum[c]);
}

// Sums as logarithms and what arrives for them, prepared: base 2, and +inf with 0 where nothing was summed. Padded.
struct Sides {
    float *log, *grad;
};

static inline void range(const float* log, int64_t n, float& low, float& high) {
    for (int64_t i = 0; i < n; ++i) {
        if (log[i] == INF) continue;
        low = log[i] < low ? log[i] : low;
        high = log[i] > high ? log[i] : high;
    }
}

static inline void factors(const Sides& side, int64_t from, int64_t n, float shift, float* u) {
    for (int64_t i = 0; i < n; i += WIDTH)
        at(u + i) = exp2(shift - at(side.log + from + i)) * at(side.grad + from + i);
}

// Adds a task to the gradients of its rows and, if they count, its columns.
template <typename Product>
static void backward(const Product& product, const Task& task, const Skipped& skipped, float unit, const Sides& of_rows,
                     const Sides& of_columns, float* dx, float* dy, char* scratch) {
    constexpr int64_t R = Product::STRIP;
    float u[STRIDE], u_j[STRIDE];
    const int64_t width = up(task.columns, Product::UNIT);
    const float *log = of_rows.log + task.i, *log_j = of_columns.log + task.j;
    float low = INF, high = -INF;
    range(log, task.rows, low, high);
    range(log_j, task.columns, low, high);
    if (high < low) low = high = 0;  // no sums at all
    const bool close = high - low < SPREAD;
    if (close) {
        factors(of_rows, task.i, up(task.rows, WIDTH), high, u);
        factors(of_columns, task.j, width, high, u_j);
    }
    for (int64_t r = 0; r < task.rows; r += R) {
        const int64_t rows = least(R, task.rows - r);
        float* strip = product.strip(scratch, r);  // (R, STRIDE)
        product.scores(task.i + r, task.j, width, strip);
        skip(strip, task.i + r, rows, width, task, skipped);
        if (close)
            weigh_once(strip, rows, width, unit, high, u + r, u_j);
        else
            weigh(strip, rows, width, unit, log + r, of_rows.grad + task.i + r, log_j, of_columns.grad + task.j);
        product.keep(scratch, r, rows, width, task.both && dy);
    }
    product.gather(scratch, task, dx);
    if (task.both && dy) product.scatter(scratch, task, dy);
}

}  // namespace
