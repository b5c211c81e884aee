/* The histogram's buckets: core.histogram in integers. */
#pragma once

#include "base.h"
#include "numbers.h"

_Static_assert(SUB_BUCKETS == 16 && FIRST_BUCKET == 2, "the limits below are those of scale 4, of seconds in nanoseconds");

/* An entry for each value of the 6 bits behind the leading one, a 64th of the way from a power of two to the next. It is the limit of
 * a bucket that lies in that 64th, the largest number where none does; its lowest 5 bits say how many limits lie below. A duration of
 * less than 2**48 ns has zeros there, so these bits change no comparison. */
static uint64_t threshold[64] __attribute__((aligned(64)));

static void
fill_histogram(void)
{
    uint64_t limit[SUB_BUCKETS];
    for (int i = 0; i < SUB_BUCKETS; i++) {
        /* floor(10**9 * 2**(n/16)) times a power of two that makes it a number of 64 bits; a product of 2**(1/2), 2**(1/4), 2**(1/8)
         * and 2**(1/16). The lowest limit above a power of two is that of n = FIRST_BUCKET. A long double is exact enough: the limits
         * are irrational but for n = 16, which is exact, and the mantissa of a duration below 2**47 ns is 2**16 units away from the
         * next one */
        int n = i + FIRST_BUCKET;
        long double value = 1e9L * 8589934592.0L;
        if (n & 16) value *= 2;
        if (n & 8) value *= 1.41421356237309504880168872420969807857L;
        if (n & 4) value *= 1.18920711500272106671749997056047591529L;
        if (n & 2) value *= 1.09050773266525765920701065576070797899L;
        if (n & 1) value *= 1.04427378242741384032196647873992910237L;
        limit[i] = (uint64_t)value;
    }
    for (int part = 0; part < 64; part++) {
        uint64_t first = (1ull << 63) + ((uint64_t)part << 57);
        uint64_t last = first + ((1ull << 57) - 1);
        unsigned below = 0;
        uint64_t within = UINT64_MAX;
        for (int i = 0; i < SUB_BUCKETS; i++) {
            if (limit[i] < first) {
                below++;
            }
            else if (limit[i] <= last) {
                within = limit[i];
            }
        }
        threshold[part] = (within & ~31ull) | below;
    }
}

static inline int
bucket_of(uint64_t duration_ns)
{
    if (duration_ns <= 1) {
        return FIRST_BUCKET;
    }
    int power = 63 - __builtin_clzll(duration_ns);
    uint64_t mantissa = duration_ns << (63 - power);
    int part = (int)(mantissa >> 57) & 63;
    uint64_t limit = threshold[part];
    int bucket = power * SUB_BUCKETS + FIRST_BUCKET + (int)(limit & 31) + (mantissa > limit);
    return bucket < OCTAVES * SUB_BUCKETS ? bucket : OCTAVES * SUB_BUCKETS - 1;
}
