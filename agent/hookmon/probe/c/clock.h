/* The clock: nanoseconds of CLOCK_MONOTONIC, by the processor's counter where it can be trusted. */
#pragma once

#include "base.h"
#include "numbers.h"
#include "state.h"

#include <time.h>

/* Stamps are nanoseconds of CLOCK_MONOTONIC. Asking the system for them takes 23 ns, two thirds of which are an instruction that
 * waits for all before it; a call reads the clock twice. Where the kernel itself keeps time by the processor's time-stamp counter
 * (clock source "tsc": constant, synchronous over all processors, and the launcher looked), we read the counter and go by the
 * last look at the system's clock. There is one at least every second, at first after 1, 4, 16 ms …: each corrects what has come
 * together meanwhile, and the rate. When counter and clock have ever gone apart (a suspend, a machine that has moved), we are
 * back at the system's clock for good. */

static inline __attribute__((always_inline)) uint64_t
read_system_ns(struct timespec *now)
{
    clock_gettime(CLOCK_MONOTONIC, now);
    return (uint64_t)now->tv_sec * 1000000000u + (uint64_t)now->tv_nsec;
}

static __attribute__((noinline)) uint64_t
system_ns(void)
{
    struct timespec now;
    return read_system_ns(&now);
}

#if defined(__linux__) && defined(__x86_64__)
#include <x86intrin.h>
#define HAS_COUNTER

#define counter (per_thread.counter)

enum { FIRST_LOOK_NS = 1000000, LAST_LOOK_NS = 1000000000, MOST_TICKS_BETWEEN = 1500, MOST_FAILURES = 1000 };

/* Look at both clocks at once. -1: something came in between each time. */
static int
look_at_clocks(uint64_t *ticks, uint64_t *ns)
{
    for (int i = 0; i < 4; i++) {
        uint64_t before = __rdtsc();
        *ns = system_ns();
        uint64_t between = __rdtsc() - before;
        *ticks = before + between / 2;
        if (between < MOST_TICKS_BETWEEN) {
            return 0;
        }
    }
    return -1;
}

static RARE uint64_t
correct_counter(void)
{
    uint64_t ticks, ns;
    if (!counter.limit) { /* it was found wrong */
        return system_ns();
    }
    if (look_at_clocks(&ticks, &ns) < 0) {
        if (++counter.failures > MOST_FAILURES) {
            counter.limit = 0;
        }
        return ns;
    }
    counter.failures = 0;
    uint64_t ticks_since = ticks - counter.ticks, ns_since = ns - counter.ns;
    if (!counter.rate && ns_since < FIRST_LOOK_NS) {
        return ns;
    }
    uint64_t told_ns = counter.rate ? (uint64_t)((unsigned __int128)ticks_since * counter.rate >> 32) : ns_since;
    uint64_t apart_ns = told_ns > ns_since ? told_ns - ns_since : ns_since - told_ns;
    if (ticks_since >> 60 || ticks_since < ns_since / 16 || apart_ns > ns_since / 1024 + 1000) {
        counter.limit = 0;
        return ns;
    }
    counter.rate = (uint64_t)(((unsigned __int128)ns_since << 32) / ticks_since);
    uint64_t wait_ns = ns_since < LAST_LOOK_NS / 4 ? 4 * ns_since : LAST_LOOK_NS;
    counter.limit = (uint64_t)((unsigned __int128)ticks_since * wait_ns / ns_since);
    counter.ticks = ticks;
    counter.ns = ns;
    return ns;
}

/* Begin to use the counter. */
static void
begin_counter(void)
{
    counter.rate = 0;
    if (look_at_clocks(&counter.ticks, &counter.ns) == 0) {
        counter.limit = 1;
    }
}

static inline __attribute__((always_inline)) uint64_t
counted_ns(void)
{
    uint64_t since = __rdtsc() - counter.ticks;
    return LIKELY(since < counter.limit) ? counter.ns + (uint64_t)((unsigned __int128)since * counter.rate >> 32) : correct_counter();
}

static inline uint64_t
now_ns(void)
{
    return LIKELY(counter.limit) ? counted_ns() : system_ns();
}

static inline int
is_counted(void)
{
    return counter.limit != 0;
}
#else
#define now_ns system_ns
#define counted_ns system_ns
#define is_counted() 0
#endif

/* Return the same for the hot path: it is known which clock there was when its wrapper was made, and each look has its own place, whose
 * address need not be kept from one to the next. */
static inline __attribute__((always_inline)) uint64_t
known_clock_ns(int by_counter, struct timespec *now)
{
    return by_counter ? counted_ns() : read_system_ns(now);
}

/* Return the time since a stamp, never less than 0: a correction may put the clock back by a little. */
static inline uint64_t
since_ns(uint64_t start_ns)
{
    uint64_t now = now_ns();
    return now > start_ns ? now - start_ns : 0;
}

/* What hookmon does by itself and takes long enough to be timed is charged to it: see recording/overhead.py. */
typedef struct {
    uint64_t start_ns, own_ns;
} Charge;

static inline Charge
begin_charge(void)
{
    return (Charge){now_ns(), state.words[HEADER_OWN_NS]};
}

/* Charge what has passed since then, without what was charged meanwhile. What takes longer than `longest_ns` was interrupted, and
 * a fork in between has begun anew. */
static inline void
end_charge(Charge begun, uint64_t longest_ns)
{
    uint64_t took_ns = since_ns(begun.start_ns), inside_ns = state.words[HEADER_OWN_NS] - begun.own_ns;
    if (inside_ns < took_ns) {
        took_ns -= inside_ns;
        ADD_TO(state.words[HEADER_OWN_NS], took_ns < longest_ns ? took_ns : longest_ns);
    }
}
