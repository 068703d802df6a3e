// Eigenvectors of the normalised adjacencies of many small graphs: dense, one thread a graph, double precision.
//
// Householder reflections make the matrix tridiagonal, implicit QL finds all eigenvalues and vectors. A step of QL first
// computes its rotations, a chain of dependent divisions, and then applies all of them to the vectors, kept as rows.
// Reflections of almost nothing are left out: graphs with many like nodes (stars) have low rank and end early.
// Off-diagonal entries below NOTHING count as zero. All numbers are in [-1, 1], so the bounds are absolute.
#include "common.h"

namespace {

constexpr int64_t MOST = 128;  // nodes; beyond, blocked algorithms are faster
constexpr int64_t STEPS = 50;  // of QL for an eigenvalue; it needs 2 on average
constexpr double NOTHING = 1e-11;
constexpr double SAME = 1 - 1e-6;  // entries that differ by less in size are a tie

// One register, unlike Vec<double>: with 64 bytes on smaller registers the compiler keeps the loops here in memory.
#if defined(__AVX512F__)
constexpr int64_t W = 8;
#elif defined(__AVX__)
constexpr int64_t W = 4;
#else
constexpr int64_t W = 2;
#endif
typedef double Register __attribute__((vector_size(W * sizeof(double)), may_alias));

inline Register get(const double* from) { return *reinterpret_cast<const Register*>(from); }
inline void put(double* to, Register value) { *reinterpret_cast<Register*>(to) = value; }

struct Workspace {
    double* memory;
    double *a, *z;                        // (n, width) each: the matrix, then the reflections; the vectors
    double *d, *e, *tau, *other, *c, *s;  // (MOST,) each
    int64_t n, width;                     // a row takes whole vectors, zeros behind the n-th entry

    Workspace() : memory(static_cast<double*>(aligned_alloc(64, (2 * MOST * MOST + 6 * MOST) * sizeof(double)))) {
        a = memory;
        z = a + MOST * MOST;
        d = z + MOST * MOST;
        e = d + MOST;
        tau = e + MOST;
        other = tau + MOST;
        c = other + MOST;
        s = c + MOST;
    }
    ~Workspace() { free(memory); }
};

// to += factor * from, `width` entries
inline void add(double* to, double factor, const double* from, int64_t width) {
    for (int64_t j = 0; j < width; j += W) put(to + j, get(to + j) + factor * get(from + j));
}

inline double dot(const double* x, const double* y, int64_t width) {
    Register sum = {};
    for (int64_t j = 0; j < width; j += W) sum += get(x + j) * get(y + j);
    double total = 0;
    for (int64_t k = 0; k < W; ++k) total += sum[k];
    return total;
}

// The largest magnitude
inline double peak(const double* x, int64_t width) {
    Register most = {};
    for (int64_t j = 0; j < width; j += W) {
        const Register value = get(x + j), size = value < 0 ? -value : value;
        most = size > most ? size : most;
    }
    double largest = 0;
    for (int64_t k = 0; k < W; ++k) largest = most[k] > largest ? most[k] : largest;
    return largest;
}

inline int64_t whole(int64_t n) { return (n + W - 1) / W * W; }

// Fill work.a with D^-1/2 A D^-1/2, A the largest weight between two nodes in either direction.
void normalised(Workspace& work, const int64_t* source, const int64_t* target, const double* weight, int64_t edges,
                int64_t first) {
    const int64_t n = work.n, width = work.width;
    double* a = work.a;
    memset(a, 0, size_t(n * width) * sizeof(double));
    for (int64_t i = 0; i < edges; ++i) {
        const int64_t u = source[i] - first, v = target[i] - first;
        const double value = weight ? weight[i] : 1;
        if (value > a[u * width + v]) a[u * width + v] = a[v * width + u] = value;
    }
    double* root = work.other;
    memset(root, 0, size_t(width) * sizeof(double));
    for (int64_t u = 0; u < n; ++u) add(root, 1, a + u * width, width);
    for (int64_t u = 0; u < n; ++u) root[u] = root[u] > 0 ? 1 / sqrt(root[u]) : 0;
    for (int64_t u = 0; u < n; ++u)
        for (int64_t j = 0; j < width; j += W)
            put(a + u * width + j, root[u] * get(a + u * width + j) * get(root + j));
}

// A = Q T Q^T: T has the diagonal d and e[i] between i and i + 1. Reflection i, I - tau v v^T, stays in row i of a.
void tridiagonal(Workspace& work) {
    const int64_t n = work.n, width = work.width;
    double *a = work.a, *p = work.other;
    work.e[n - 1] = 0;
    for (int64_t i = n - 1; i > 0; --i) {
        double* v = a + i * width;
        const int64_t active = whole(i);
        work.d[i] = v[i];
        const double last = v[i - 1];
        memset(v + i - 1, 0, size_t(width - i + 1) * sizeof(double));
        const double rest = dot(v, v, active);
        work.tau[i] = 0;
        work.e[i - 1] = last;
        if (rest <= NOTHING * NOTHING) continue;
        const double norm = sqrt(rest + last * last);
        const double tau = 1 / (norm * (norm + fabs(last)));
        work.tau[i] = tau;
        work.e[i - 1] = last > 0 ? -norm : norm;
        v[i - 1] = last - work.e[i - 1];
        memset(p, 0, size_t(active) * sizeof(double));
        for (int64_t j = 0; j < i; ++j)
            if (v[j] != 0) add(p, tau * v[j], a + j * width, active);
        add(p, -0.5 * tau * dot(p, v, active), v, active);
        for (int64_t r = 0; r < i; ++r) {
            const double x = v[r], y = p[r];
            if (x == 0 && y == 0) continue;
            double* row = a + r * width;
            for (int64_t j = 0; j < active; j += W) put(row + j, get(row + j) - x * get(p + j) - y * get(v + j));
        }
    }
    work.d[0] = a[0];
}

// z = Q^T, whose rows are to become the eigenvectors.
void reflections(Workspace& work) {
    const int64_t n = work.n, width = work.width;
    double *z = work.z, *t = work.other;
    memset(z, 0, size_t(n * width) * sizeof(double));
    for (int64_t i = 0; i < n; ++i) z[i * width + i] = 1;
    for (int64_t i = 2; i < n; ++i) {
        if (work.tau[i] == 0) continue;
        const double* v = work.a + i * width;
        const int64_t active = whole(i);
        memset(t, 0, size_t(active) * sizeof(double));
        for (int64_t r = 0; r < i; ++r) add(t, work.tau[i] * v[r], z + r * width, active);
        for (int64_t r = 0; r < i; ++r) add(z + r * width, -v[r], t, active);
    }
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < i; ++j) {
            const double swapped = z[i * width + j];
            z[i * width + j] = z[j * width + i];
            z[j * width + i] = swapped;
        }
}

// Rotate rows end and end - 1, then end - 1 and end - 2, ..., begin + 1 and begin of z, in `V` vectors of their width.
template <int64_t V>
inline void rotate(const Workspace& work, int64_t begin, int64_t end, int64_t column) {
    const int64_t width = work.width;
    double* row = work.z + end * width + column;
    Register carry[V];
    for (int64_t k = 0; k < V; ++k) carry[k] = get(row + k * W);
    for (int64_t i = end - 1; i >= begin; --i, row -= width) {
        const double c = work.c[i], s = work.s[i];
        for (int64_t k = 0; k < V; ++k) {
            const Register other = get(row - width + k * W);
            put(row + k * W, s * other + c * carry[k]);
            carry[k] = c * other - s * carry[k];
        }
    }
    for (int64_t k = 0; k < V; ++k) put(row + k * W, carry[k]);
}

void rotate_all(const Workspace& work, int64_t begin, int64_t end) {
    int64_t column = 0;
    for (; column + 4 * W <= work.width; column += 4 * W) rotate<4>(work, begin, end, column);
    const int64_t left = (work.width - column) / W;
    if (left == 3) rotate<3>(work, begin, end, column);
    if (left == 2) rotate<2>(work, begin, end, column);
    if (left == 1) rotate<1>(work, begin, end, column);
}

// Implicit QL with Wilkinson's shift: d becomes the eigenvalues, row i of z the vector of d[i]. False: no convergence.
bool diagonal(Workspace& work) {
    const int64_t n = work.n;
    double *d = work.d, *e = work.e;
    for (int64_t l = 0; l < n; ++l)
        for (int64_t step = 0;; ++step) {
            int64_t m = l;
            while (m < n - 1 && fabs(e[m]) > NOTHING) ++m;
            if (m == l) break;
            if (step == STEPS) return false;
            const double half = (d[l + 1] - d[l]) / (2 * e[l]), root = sqrt(half * half + 1);
            double g = d[m] - d[l] + e[l] / (half + (half < 0 ? -root : root));
            double s = 1, c = 1, p = 0;
            int64_t i = m - 1;
            for (; i >= l; --i) {
                const double f = s * e[i], b = c * e[i], square = f * f + g * g;
                if (square < 1e-280) break;  // the matrix falls apart here
                const double size = sqrt(square), inverse = size * (1 / square);  // root and division at the same time
                e[i + 1] = size;
                s = f * inverse;
                c = g * inverse;
                g = d[i + 1] - p;
                const double r = (d[i] - g) * s + 2 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                work.c[i] = c;
                work.s[i] = s;
            }
            if (i >= l) {
                d[i + 1] -= p;
                e[i + 1] = 0;
            } else {
                d[l] -= p;
                e[l] = g;
            }
            e[m] = 0;
            rotate_all(work, i + 1, m);
        }
    return true;
}

// The first k eigenvalues in descending order, and their vectors as columns of `vectors` (n, k), zeros behind the n-th.
void write(const Workspace& work, int64_t k, float* values, float* vectors) {
    const int64_t n = work.n, count = k < n ? k : n;
    int64_t order[MOST];
    for (int64_t i = 0; i < n; ++i) {
        int64_t at = i;
        for (; at > 0 && work.d[order[at - 1]] < work.d[i]; --at) order[at] = order[at - 1];
        order[at] = i;
    }
    memset(values, 0, size_t(k) * sizeof(float));
    memset(vectors, 0, size_t(n * k) * sizeof(float));
    for (int64_t j = 0; j < count; ++j) {
        const double* row = work.z + order[j] * work.width;
        const double largest = peak(row, work.width);
        int64_t first = 0;
        while (first < n - 1 && !(fabs(row[first]) >= SAME * largest)) ++first;
        const double sign = row[first] < 0 ? -1 : 1;
        values[j] = float(work.d[order[j]]);
        for (int64_t u = 0; u < n; ++u) vectors[u * k + j] = float(sign * row[u]);
    }
}

}  // namespace

// Edges of graph g: source and target[bounds[g] .. bounds[g + 1]), weight null or >= 0; its nodes: ptr[g] .. ptr[g + 1].
// left[g] becomes 1 where nothing was written: too many nodes, or no convergence.
EXPORT(top_eigenvectors)(const int64_t* source, const int64_t* target, const double* weight, const int64_t* bounds,
                         const int64_t* ptr, float* values, float* vectors, int64_t* left, int64_t graphs, int64_t k,
                         int64_t threads) {
    int64_t failed = 0;
    const int64_t grain = graphs / (16 * threads);
    parallel_for(graphs, grain < 16 ? 16 : grain, threads, [&](int64_t begin, int64_t end) {
        Workspace work;
        if (!work.memory) {
            __atomic_store_n(&failed, int64_t(1), __ATOMIC_RELAXED);
            return;
        }
        for (int64_t g = begin; g < end; ++g) {
            work.n = ptr[g + 1] - ptr[g];
            work.width = whole(work.n);
            left[g] = work.n > MOST;
            if (left[g]) continue;
            if (work.n == 0) {
                memset(values + g * k, 0, size_t(k) * sizeof(float));
                continue;
            }
            const int64_t at = bounds[g];
            normalised(work, source + at, target + at, weight ? weight + at : nullptr, bounds[g + 1] - at, ptr[g]);
            tridiagonal(work);
            reflections(work);
            left[g] = !diagonal(work);
            if (!left[g]) write(work, k, values + g * k, vectors + ptr[g] * k);
        }
    });
    return failed;
}
