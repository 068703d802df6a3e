// What all kernels share. Each kernel file is compiled once for base, avx2 and avx512, a file named *_bf16.cpp for
// avx512_bf16 and amx_bf16 instead (macro ISA, see setup.py); ops/native.py calls the best that the processor can run.
//
// Rules of these files:
// - exported functions are declared with EXPORT(name): plain C, named name_<isa>, arguments are pointers, int64_t and
//   double only, the result is an int64_t, 0 for success;
// - everything else is static or in the anonymous namespace, and nothing of the standard library's templates is used:
//   a shared inline function could be kept in the copy compiled for a processor that this machine does not have;
// - threads come from parallel_for alone, and what a thread writes does not depend on how the range was cut.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef ISA
#define ISA base
#endif
#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)
#define VISIBLE extern "C" __attribute__((visibility("default")))
#define EXPORT(name) VISIBLE int64_t JOIN(name, ISA)

// Calls body(context, begin, end) over [0, n) in pieces of at most `grain`, on up to `threads` threads.
extern "C" void graphssl_parallel_for(int64_t n, int64_t grain, int64_t threads,
                                      void (*body)(void*, int64_t, int64_t), void* context);

// The same for a lambda that captures what it needs: parallel_for(n, grain, threads, [&](int64_t begin, int64_t end) {...}).
template <typename Body>
static inline void parallel_for(int64_t n, int64_t grain, int64_t threads, Body body) {
    graphssl_parallel_for(
        n, grain, threads,
        [](void* context, int64_t begin, int64_t end) { (*static_cast<Body*>(context))(begin, end); }, &body);
}

// 64 bytes of numbers: + - * and comparisons work entry by entry, on whatever registers the instruction set has.
template <typename T> struct Lanes;
template <> struct Lanes<float> {
    typedef float Type __attribute__((vector_size(64), aligned(4), may_alias));
};
template <> struct Lanes<double> {
    typedef double Type __attribute__((vector_size(64), aligned(8), may_alias));
};
template <typename T> using Vec = typename Lanes<T>::Type;
template <typename T> constexpr int64_t LANES = 64 / sizeof(T);

template <typename T> static inline Vec<T> load(const T* from) { return *reinterpret_cast<const Vec<T>*>(from); }
template <typename T> static inline void store(T* to, Vec<T> value) { *reinterpret_cast<Vec<T>*>(to) = value; }
