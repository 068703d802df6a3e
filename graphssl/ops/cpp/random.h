// Random numbers without a state: a function of (seed, stream, counter), as in ops/stream.py, bit for bit.
#pragma once
#include "common.h"

namespace {

constexpr uint64_t STREAM_STEP = 0x9E3779B97F4A7C15ull;  // 2^64 / golden ratio, odd

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014; constants of Stafford's variant 13).
inline uint64_t mix64(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

// The key of a stream of numbers; a key's own streams have keys of the same kind.
inline uint64_t stream_key(uint64_t key, uint64_t stream) { return mix64(mix64(key + STREAM_STEP) + stream * STREAM_STEP); }

// Number `counter` of a stream, in [0, 1): 53 random bits.
inline double uniform(uint64_t key, uint64_t counter) {
    return double(mix64(key + (counter + 1) * STREAM_STEP) >> 11) * 0x1p-53;
}

// An integer in [0, n), n >= 1: each with probability 1 / n up to 2^-53.
inline int64_t below(uint64_t key, uint64_t counter, int64_t n) {
    const int64_t i = int64_t(uniform(key, counter) * double(n));
    return i < n ? i : n - 1;
}

}  // namespace
