/* The histogram's buckets: core.histogram in integers. */
#pragma once

#include "base.h"
#include "numbers.h"

_Static_assert(SUB_BUCKETS == 16, "the limits below are those of scale 4");

/* An entry for each value of the 6 bits behind the leading one, a 64th of an octave. It is the limit of a bucket that lies in that
 * 64th, the largest number where none does; its lowest 5 bits say how many limits lie below. A duration of less than 2**48 ns has
 * zeros there, so these bits change no comparison. */
static uint64_t threshold[64] __attribute__((aligned(64)));

static void
fill_histogram(void)
{
    uint64_t limit[SUB_BUCKETS + 1];
    for (int i = 0; i <= SUB_BUCKETS; i++) {
        /* floor(2**(63 + i/16)), a product of 2**(1/2), 2**(1/4), 2**(1/8) and 2**(1/16). A long double is exact enough: the limits
         * are irrational but for i = 0 and 16, and the mantissa of a duration below 2**47 ns is 2**16 units away from the next one */
        long double value = 9223372036854775808.0L;
        long double root = 1.0L;
        if (i & 8) root *= 1.41421356237309504880168872420969807857L;
        if (i & 4) root *= 1.18920711500272106671749997056047591529L;
        if (i & 2) root *= 1.09050773266525765920701065576070797899L;
        if (i & 1) root *= 1.04427378242741384032196647873992910237L;
        value *= root;
        limit[i] = i == SUB_BUCKETS ? UINT64_MAX : (uint64_t)value;
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
        return 0;
    }
    int octave = 63 - __builtin_clzll(duration_ns);
    uint64_t mantissa = duration_ns << (63 - octave);
    int part = (int)(mantissa >> 57) & 63;
    uint64_t limit = threshold[part];
    int bucket = octave * SUB_BUCKETS + (int)(limit & 31) + (mantissa > limit);
    return bucket < OCTAVES * SUB_BUCKETS ? bucket : OCTAVES * SUB_BUCKETS - 1;
}
