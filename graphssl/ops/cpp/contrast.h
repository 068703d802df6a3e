// Log-sum-exp over all pairs of rows, in tiles: what the kernels of contrast share, whatever they multiply in.
//
// A block of rows against a block of columns is one task. Tasks run in phases: within one, no two threads share rows or
// columns, and each adds to the rows and columns it owns, so sums are always taken in the same order.
#pragma once
#include "contrast_task.h"

namespace {

// How rows and columns are cut: by their number alone, never by the number of threads. A region is a few blocks, whose
// tasks follow each other so that most find the rows or the columns of the one before in the cache.
struct Plan {
    int64_t rows, columns, row_block, column_block, row_region, column_region;
    bool self;
};

static inline Plan make_plan(int64_t rows, int64_t columns, bool self) {
    const int64_t c = least(BLOCK, up(columns / 16 + 1, PANEL)), r = self ? c : least(BLOCK, up(rows / 8 + 1, PANEL));
    return {rows, columns, r, c, self ? 2 * r : r, 2 * c, self};
}

// Calls work(task) for every pair of blocks of a pair of regions, of a region with itself on and above the diagonal.
template <typename Work>
static void for_each_block(const Plan& plan, int64_t a, int64_t b, Work work) {
    const int64_t i_end = least(plan.rows, (a + 1) * plan.row_region);
    const int64_t j_begin = b * plan.column_region, j_end = least(plan.columns, j_begin + plan.column_region);
    const int64_t width = (j_end - j_begin + plan.column_block - 1) / plan.column_block;
    bool back = false;
    for (int64_t i = a * plan.row_region; i < i_end; i += plan.row_block, back = !back)
        for (int64_t step = 0; step < width; ++step) {
            const int64_t j = j_begin + (back ? width - 1 - step : step) * plan.column_block;
            if (plan.self && i > j) continue;
            work(Task{i, least(plan.row_block, plan.rows - i), j, least(plan.column_block, plan.columns - j),
                      !(plan.self && i == j)});
        }
}

// Calls work(task, scratch) for every pair of blocks once, of a matrix with itself on and above the diagonal.
template <typename Product, typename Work>
static int64_t for_each_task(const Product& product, const Plan& plan, int64_t scratch_bytes, int64_t threads,
                             Work work) {
    const int64_t n = (plan.rows + plan.row_region - 1) / plan.row_region;
    const int64_t m = (plan.columns + plan.column_region - 1) / plan.column_region;
    const int64_t phases = n > m ? n : m;
    if (threads > n) threads = n;
    if (n == 0 || m == 0) return 0;
    scratch_bytes = up(scratch_bytes, 4096);
    char* scratch = static_cast<char*>(aligned_alloc(4096, size_t(scratch_bytes * threads)));
    if (!scratch) return 1;
    for (int64_t phase = 0; phase < phases; ++phase) {
        int64_t next = 0;
        parallel_for(threads, 1, threads, [&](int64_t slot, int64_t) {
            product.enter();
            for (int64_t a; (a = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < n;) {
                // a + b = phase (modulo n) pairs the regions off; a shift by the phase matches rows to columns.
                const int64_t b = plan.self ? (phase + n - a) % n : (a + phase) % phases;
                if (b < m && !(plan.self && a > b))
                    for_each_block(plan, a, b, [&](const Task& task) { work(task, scratch + slot * scratch_bytes); });
            }
            product.leave();
        });
    }
    free(scratch);
    return 0;
}

template <typename T>
static T* make(int64_t n, T fill) {
    T* p = static_cast<T*>(malloc(size_t(n + 1) * sizeof(T)));
    for (int64_t i = 0; p && i < n; ++i) p[i] = fill;
    return p;
}

static inline void finish(const Sums& sums, int64_t n, float* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = float((sums.shift[i] + ::log2(sums.sum[i])) * LN2);
}

// Logarithms of all sums; over_columns is null where they are not wanted, or where columns and rows are the same.
template <typename Product>
static int64_t run_forward(const Product& product, const Plan& plan, const Skipped& skipped, double scale, double bound,
                           float* over_rows, float* over_columns, int64_t threads) {
    const float shift = bound < 0 ? -1.0f : float(bound * LOG2E);
    const float start = bound < 0 ? LOWEST : shift;
    const int64_t count = over_columns ? plan.columns : 0;
    const Sums rows{make(plan.rows, start), make(plan.rows, 0.0)};
    const Sums columns{make(count, start), make(count, 0.0)};
    int64_t failed = !rows.shift || !rows.sum || !columns.shift || !columns.sum;
    if (!failed)
        failed = for_each_task(product, plan, Product::STRIP * STRIDE * 4, threads, [&](Task task, char* scratch) {
            task.both = plan.self ? task.both : over_columns != nullptr;
            forward(product, task, skipped, float(scale * LOG2E), shift, rows, plan.self ? rows : columns, scratch);
        });
    if (!failed) finish(rows, plan.rows, over_rows), finish(columns, count, over_columns);
    free(rows.shift), free(rows.sum), free(columns.shift), free(columns.sum);
    return failed;
}

static inline Sides make_sides(const float* log, const float* grad, int64_t n, double scale) {
    const Sides side{make(n + 64, INF), make(n + 64, 0.0f)};
    for (int64_t i = 0; side.log && side.grad && log && i < n; ++i)
        if (log[i] != -INF) {
            side.log[i] = float(log[i] * LOG2E);
            side.grad[i] = float(grad[i] * scale);
        }
    return side;
}

// Gradients of all sums with respect to x and, unless dy is null, y. Of a matrix with itself: dx and dy are the same.
template <typename Product>
static int64_t run_backward(const Product& product, const Plan& plan, const Skipped& skipped, double scale,
                            const Sides& of_rows, const Sides& of_columns, float* dx, float* dy, int64_t threads) {
    if (!of_rows.log || !of_rows.grad || !of_columns.log || !of_columns.grad) return 1;
    memset(dx, 0, size_t(plan.rows * product.p * 4));
    if (dy && dy != dx) memset(dy, 0, size_t(plan.columns * product.p * 4));
    return for_each_task(product, plan, Product::SCRATCH, threads, [&](const Task& task, char* scratch) {
        backward(product, task, skipped, float(scale * LOG2E), of_rows, of_columns, dx, dy, scratch);
    });
}

// The four functions, for one way to multiply. p is a multiple of 16, for bfloat16 of 32; a negative bound is no bound;
// gradients have room for rows up to the next multiple of 32.
template <typename Product>
static int64_t self_forward(const float* z, float* out, int64_t rows, int64_t p, double scale, int64_t skip_partner,
                            double bound, int64_t threads) {
    const auto packed = Product::pack(z, rows, p, false, threads);
    const Product product{packed, packed, p};
    const Skipped skipped{{0, rows / 2, -(rows / 2)}, skip_partner ? 3 : 1};
    const int64_t failed = !packed.memory || run_forward(product, make_plan(rows, rows, true), skipped, scale, bound,
                                                         out, nullptr, threads);
    free(packed.memory);
    return failed;
}

template <typename Product>
static int64_t self_backward(const float* z, const float* lse, const float* grad, float* dz, int64_t rows, int64_t p,
                             double scale, int64_t skip_partner, int64_t threads) {
    const auto packed = Product::pack(z, rows, p, true, threads);
    const Product product{packed, packed, p};
    const Skipped skipped{{0, rows / 2, -(rows / 2)}, skip_partner ? 3 : 1};
    const Sides side = make_sides(lse, grad, rows, scale);
    const int64_t failed = !packed.memory || run_backward(product, make_plan(rows, rows, true), skipped, scale, side,
                                                          side, dz, dz, threads);
    free(packed.memory), free(side.log), free(side.grad);
    return failed;
}

template <typename Product>
static int64_t cross_forward(const float* x, const float* y, float* over_rows, float* over_columns, int64_t rows,
                             int64_t columns, int64_t p, double scale, int64_t skip_diagonal, double bound,
                             int64_t threads) {
    const auto xp = Product::pack(x, rows, p, false, threads), yp = Product::pack(y, columns, p, false, threads);
    const Product product{xp, yp, p};
    const Skipped skipped{{0, 0, 0}, skip_diagonal ? 1 : 0};
    const int64_t failed = !xp.memory || !yp.memory || run_forward(product, make_plan(rows, columns, false), skipped,
                                                                   scale, bound, over_rows, over_columns, threads);
    free(xp.memory), free(yp.memory);
    return failed;
}

template <typename Product>
static int64_t cross_backward(const float* x, const float* y, const float* over_rows, const float* over_columns,
                              const float* grad_rows, const float* grad_columns, float* dx, float* dy, int64_t rows,
                              int64_t columns, int64_t p, double scale, int64_t skip_diagonal, int64_t threads) {
    const auto xp = Product::pack(x, rows, p, true, threads), yp = Product::pack(y, columns, p, true, threads);
    const Product product{xp, yp, p};
    const Skipped skipped{{0, 0, 0}, skip_diagonal ? 1 : 0};
    const Sides of_rows = make_sides(over_rows, grad_rows, rows, scale);
    const Sides of_columns = make_sides(over_columns, grad_columns, columns, scale);
    const int64_t failed = !xp.memory || !yp.memory || run_backward(product, make_plan(rows, columns, false), skipped,
                                                                    scale, of_rows, of_columns, dx, dy, threads);
    free(xp.memory), free(yp.memory);
    free(of_rows.log), free(of_rows.grad), free(of_columns.log), free(of_columns.grad);
    return failed;
}

}  // namespace

#define CONTRAST_KERNELS(suffix, Product)                                                                             \
    EXPORT(self_logsumexp_##suffix)(const float* z, float* out, int64_t rows, int64_t p, double scale,                \
                                    int64_t skip_partner, double bound, int64_t threads) {                            \
        return self_forward<Product>(z, out, rows, p, scale, skip_partner, bound, threads);                           \
    }                                                                                                                 \
    EXPORT(self_logsumexp_backward_##suffix)(const float* z, const float* lse, const float* grad, float* dz,          \
                                             int64_t rows, int64_t p, double scale, int64_t skip_partner,             \
                                             int64_t threads) {                                                       \
        return self_backward<Product>(z, lse, grad, dz, rows, p, scale, skip_partner, threads);                       \
    }                                                                                                                 \
    EXPORT(cross_logsumexp_##suffix)(const float* x, const float* y, float* over_rows, float* over_columns,           \
                                     int64_t rows, int64_t columns, int64_t p, double scale, int64_t skip_diagonal,   \
                                     double bound, int64_t threads) {                                                 \
        return cross_forward<Product>(x, y, over_rows, over_columns, rows, columns, p, scale, skip_diagonal, bound,   \
                                      threads);                                                                       \
    }                                                                                                                 \
    EXPORT(cross_logsumexp_backward_##suffix)(                                                                        \
        const float* x, const float* y, const float* over_rows, const float* over_columns, const float* grad_rows,    \
        const float* grad_columns, float* dx, float* dy, int64_t rows, int64_t columns, int64_t p, double scale,      \
        int64_t skip_diagonal, int64_t threads) {                                                                     \
        return cross_backward<Product>(x, y, over_rows, over_columns, grad_rows, grad_columns, dx, dy, rows, columns, \
                                       p, scale, skip_diagonal, threads);                                             \
    }
