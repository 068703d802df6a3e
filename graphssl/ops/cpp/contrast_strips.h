// Strips of scores, a few rows by the columns of a task: sums of their exponentials, and weights for the gradient.
//
// Logarithms and exponentials are base 2. Numbers are handled a register at a time, as wide as the instruction set's.
#pragma once
#include "common.h"
#include "intrinsics.h"

namespace {

#if defined(__AVX512F__)
constexpr int64_t WIDTH = 16;
#elif defined(__AVX2__)
constexpr int64_t WIDTH = 8;
#else
constexpr int64_t WIDTH = 4;
#endif
typedef float Reg __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t IReg __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

constexpr int64_t PANEL = 96;    // rows of z that are packed together: a multiple of every register tile
constexpr int64_t BLOCK = 288;   // rows and columns of a task, at most: scores and rows of z stay in the L2 cache
constexpr int64_t STRIDE = 304;  // of a row of scores: not a power of two, which would fall on few sets of the cache
constexpr double LOG2E = 1.4426950408889634, LN2 = 0.6931471805599453;
constexpr float LOWEST = -3.0e38f, INF = __builtin_inff();
constexpr float SPREAD = 40 * 1.44f;  // within it, one exponential serves both sides of a score

#define INLINE inline __attribute__((always_inline))

static INLINE Reg same(float x) { return x - Reg{}; }
static INLINE Reg& at(float* p) { return *reinterpret_cast<Reg*>(p); }
static INLINE const Reg& at(const float* p) { return *reinterpret_cast<const Reg*>(p); }

// NaN in x stays.
static INLINE Reg at_least(Reg x, float least) {
#if defined(__AVX512F__)
    return (Reg)_mm512_max_ps(_mm512_set1_ps(least), (__m512)x);
#else
    return x < least ? same(least) : x;
#endif
}
static INLINE Reg larger(Reg a, Reg b) { return a > b ? a : b; }

// 2^x, relative error below 2e-7; 0 below -126.5, also for -inf; meant for x <= 128.
static INLINE Reg exp2(Reg x) {
    constexpr float ROUND = 12582912.0f + 127;  // the sum's low bits are the nearest integer to x, plus 127
    const Reg y = at_least(x, -127.0f);
    const Reg t = y + ROUND;
    const Reg f = y - (t - ROUND);
    const Reg two_to_n = (Reg)((IReg)t << 23);
    Reg p = f * 0.00132647272f + 0.00967151269f;
    p = p * f + 0.0555073374f;
    p = p * f + 0.240222421f;
    p = p * f + 0.693146978f;
    p = p * f + 1.0f;
    return p * two_to_n;
}

static INLINE float total(Reg x) {
    float sum = 0;
    for (int64_t l = 0; l < WIDTH; ++l) sum += x[l];
    return sum;
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// A part of all pairs: rows [i, i + rows) against columns [j, j + columns).
struct Task {
    int64_t i, rows, j, columns;
    bool both;  // its columns count too
};

// Pairs that are left out: column - row is one of these.
struct Skipped {
    int64_t distance[3];
    int64_t count;
};

// Sets the scores of skipped pairs and those beyond the last column to -inf; row 0 of the scores is row i.
static inline void skip(float* scores, int64_t i, int64_t rows, int64_t width, const Task& task,
                        const Skipped& skipped) {
    for (int64_t r = 0; r < rows; ++r) {
        for (int64_t d = 0; d < skipped.count; ++d) {
            const int64_t c = i + r + skipped.distance[d] - task.j;
            if (c >= 0 && c < task.columns) scores[r * STRIDE + c] = -INF;
        }
        for (int64_t c = task.columns; c < width; ++c) scores[r * STRIDE + c] = -INF;
    }
}

// What one task adds to the sums of its columns.
struct Columns {
    float shift[STRIDE], sum[STRIDE];
};

// Sums a strip of R rows of scores when no score exceeds `shift`.
template <int64_t R>
static inline void add_bounded(const float* scores, int64_t width, float unit, float shift, float* rows,
                               float* columns) {
    Reg sum[R];
    for (int64_t r = 0; r < R; ++r) sum[r] = Reg{};
    for (int64_t c = 0; c < width; c += WIDTH) {
        Reg down = at(columns + c);
        for (int64_t r = 0; r < R; ++r) {
            const Reg e = exp2(at(scores + r * STRIDE + c) * unit - shift);
            sum[r] += e;
            down += e;
        }
        at(columns + c) = down;
    }
    for (int64_t r = 0; r < R; ++r) rows[r] = total(sum[r]);
}

// The same for any scores: shifted by the largest of a row, and of a column as it grows.
static inline void add_running(float* scores, int64_t rows, int64_t width, float unit, float* shift, float* sum,
                               Columns* columns) {
    for (int64_t r = 0; r < rows; ++r) {
        float* x = scores + r * STRIDE;
        Reg most = same(LOWEST), e = Reg{};
        for (int64_t c = 0; c < width; c += WIDTH) {
            at(x + c) *= unit;
            most = larger(at(x + c), most);
        }
        shift[r] = LOWEST;
        for (int64_t l = 0; l < WIDTH; ++l) shift[r] = most[l] > shift[r] ? most[l] : shift[r];
        for (int64_t c = 0; c < width; c += WIDTH) e += exp2(at(x + c) - shift[r]);
        sum[r] = total(e);
    }
    if (!columns) return;
    for (int64_t c = 0; c < width; c += WIDTH) {
        const Reg before = at(columns->shift + c);
        Reg most = before;
        for (int64_t r = 0; r < rows; ++r) most = larger(at(scores + r * STRIDE + c), most);
        Reg e = at(columns->sum + c) * exp2(before - most);
        for (int64_t r = 0; r < rows; ++r) e += exp2(at(scores + r * STRIDE + c) - most);
        at(columns->shift + c) = most;
        at(columns->sum + c) = e;
    }
}

// w = grad_i 2^(s - log_i) + grad_j 2^(s - log_j), in place of a strip of scores.
static inline void weigh(float* scores, int64_t rows, int64_t width, float unit, const float* log, const float* grad,
                         const float* log_j, const float* grad_j) {
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < width; c += WIDTH) {
            Reg& s = at(scores + r * STRIDE + c);
            const Reg x = s * unit;
            s = exp2(x - log[r]) * grad[r] + exp2(x - at(log_j + c)) * at(grad_j + c);
        }
}

// The same where the logarithms are close: 2^(s - shift) (u_i + u_j) with u = grad 2^(shift - log).
static inline void weigh_once(float* scores, int64_t rows, int64_t width, float unit, float shift, const float* u,
                              const float* u_j) {
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < width; c += WIDTH) {
            Reg& s = at(scores + r * STRIDE + c);
            s = exp2(s * unit - shift) * (at(u_j + c) + u[r]);
        }
}

}  // namespace
