// The instructions of AVX-512, where they are compiled for.
#pragma once
#if defined(__AVX512F__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // false alarms in the headers of GCC 12
#endif
#include <immintrin.h>
#endif
