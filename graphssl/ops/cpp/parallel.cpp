// Threads for the kernels: started for one call and joined at its end, so that nothing spins or survives a fork.
#include <atomic>
#include <thread>

#include "common.h"

extern "C" void graphssl_parallel_for(int64_t n, int64_t grain, int64_t threads,
                                      void (*body)(void*, int64_t, int64_t), void* context) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    const int64_t pieces = (n + grain - 1) / grain;
    if (threads > pieces) threads = pieces;
    std::atomic<int64_t> next{0};
    auto work = [&] {
        for (int64_t piece; (piece = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
            const int64_t begin = piece * grain;
            body(context, begin, begin + grain < n ? begin + grain : n);
        }
    };
    constexpr int64_t MOST = 256;
    std::thread helpers[MOST];
    int64_t started = 0;
    for (; started < threads - 1 && started < MOST; ++started) {
        try {
            helpers[started] = std::thread(work);
        } catch (...) {  // no more threads to be had: those that run do the work
            break;
        }
    }
    work();
    for (int64_t i = 0; i < started; ++i) helpers[i].join();
}
