// What this processor and its operating system can run, asked once when the library is loaded.
#include "common.h"

// Raised with every change of an exported function's arguments; ops/native.py names the one it calls.
VISIBLE int64_t graphssl_interface() { return 5; }

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

static uint64_t enabled_state() {
    uint32_t a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t(d) << 32) | a;
}

// Linux hands out the AMX tiles only to processes that ask for them (ARCH_REQ_XCOMP_PERM, feature 18).
static bool may_use_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
    return false;
#endif
}

// 0 base, 1 avx2, 2 avx512, 3 avx512_bf16, 4 amx_bf16: each level includes those below.
VISIBLE int64_t graphssl_cpu_level() {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const bool fma = c & (1u << 12), saves = c & (1u << 27), f16c = c & (1u << 29);
    if (!saves || (enabled_state() & 0x6) != 0x6) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const uint32_t highest = a;
    if (!(b & (1u << 5)) || !fma || !f16c) return 0;
    const uint32_t avx512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // f, dq, bw, vl
    if ((b & avx512) != avx512 || (enabled_state() & 0xe6) != 0xe6) return 1;
    const bool amx = (d & (1u << 22)) && (d & (1u << 24)) && (enabled_state() & 0x60000) == 0x60000;
    if (highest < 1 || !__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & (1u << 5))) return 3;
    return amx && may_use_tiles() ? 4 : 3;
}
#else
VISIBLE int64_t graphssl_cpu_level() { return 0; }
#endif

