// The gradient of f(x + bias) with f(t) = t > 0 ? t : slope * t, slope >= 0, in one pass over what was returned:
// the sign of the result is that of its argument, so the argument need not be kept.
//
// Sums over the rows are taken in blocks of ROWS, then over the blocks in order: the same for any number of threads.
#include "common.h"

namespace {

constexpr int64_t ROWS = 128;

template <typename T>
int64_t leaky_backward(const T* grad, const T* out, T slope, T* grad_x, T* grad_bias, T* grad_slope, int64_t rows,
                       int64_t width, int64_t threads) {
    const int64_t blocks = (rows + ROWS - 1) / ROWS;
    T* partial = static_cast<T*>(calloc(size_t(blocks) * size_t(width + 1) + 1, sizeof(T)));
    if (!partial) return 1;
    parallel_for(rows, ROWS, threads, [=](int64_t begin, int64_t end) {
        T* bias = partial + (begin / ROWS) * (width + 1);
        T total = 0;
        for (int64_t r = begin; r < end; ++r) {
            const T *g = grad + r * width, *y = out + r * width;
            T* to = grad_x + r * width;
            Vec<T> lanes = {};
            int64_t j = 0;
            for (; j + LANES<T> <= width; j += LANES<T>) {
                const Vec<T> gs = load(g + j), ys = load(y + j), value = ys > 0 ? gs : slope * gs;
                store(to + j, value);
                store(bias + j, load(bias + j) + value);
                lanes += ys < 0 ? gs * ys : Vec<T>{};
            }
            for (; j < width; ++j) {
                const T value = y[j] > 0 ? g[j] : slope * g[j];
                to[j] = value;
                bias[j] += value;
                total += y[j] < 0 ? g[j] * y[j] : T(0);
            }
            for (int64_t k = 0; k < LANES<T>; ++k) total += lanes[k];
        }
        bias[width] = total;
    });
    T sum = 0;
    for (int64_t j = 0; j < width; ++j) grad_bias[j] = 0;
    for (int64_t block = 0; block < blocks; ++block) {
        const T* from = partial + block * (width + 1);
        for (int64_t j = 0; j < width; ++j) grad_bias[j] += from[j];
        sum += from[width];
    }
    *grad_slope = slope > 0 ? sum / slope : T(0);  // y / slope is the argument where it is negative
    free(partial);
    return 0;
}

}  // namespace

EXPORT(leaky_backward_f32)(const float* grad, const float* out, double slope, float* grad_x, float* grad_bias,
                           float* grad_slope, int64_t rows, int64_t width, int64_t threads) {
    return leaky_backward(grad, out, float(slope), grad_x, grad_bias, grad_slope, rows, width, threads);
}

EXPORT(leaky_backward_f64)(const double* grad, const double* out, double slope, double* grad_x, double* grad_bias,
                           double* grad_slope, int64_t rows, int64_t width, int64_t threads) {
    return leaky_backward(grad, out, slope, grad_x, grad_bias, grad_slope, rows, width, threads);
}
