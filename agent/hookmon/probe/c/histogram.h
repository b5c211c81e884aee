/* The histogram's buckets: core.histogram in integers. */
#pragma once

#include "base.h"
#include "numbers.h"

_Static_assert(SUB_BUCKETS == 16 && FIRST_BUCKET == 2, "the limits below are those of scale 4, of seconds in nanoseconds");

/* A double holds a duration below 2**53 ns exactly: above its 52 bits of mantissa stands the power of two, and so its upper bits, down
 * to four of the mantissa, are the number of a sixteenth of an octave. Buckets are not even sixteenths. There is an entry for each value
 * of the 6 highest bits of the mantissa, a 64th of the way from a power of two to the next. Added to the bits of the double it moves
 * them such that those upper bits become the bucket: the limit of a bucket that lies in this 64th (there is one at most) comes to lie on
 * an even sixteenth. */
static uint64_t shift_of[64] __attribute__((aligned(64)));

enum { MANTISSA_BITS = 52, BUCKET_BITS = MANTISSA_BITS - 4, PART_BITS = MANTISSA_BITS - 6, POWER_OF_ONE = 1023 };

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
        limit[i] = ((uint64_t)value & INT64_MAX) >> (63 - MANTISSA_BITS); /* as a mantissa, without the leading one */
    }
    for (int part = 0; part < 64; part++) {
        uint64_t first = (uint64_t)part << PART_BITS;
        uint64_t last = first + ((1ull << PART_BITS) - 1);
        uint64_t below = FIRST_BUCKET;
        int within = -1;
        for (int i = 0; i < SUB_BUCKETS; i++) {
            if (limit[i] < first) {
                below++;
            }
            else if (limit[i] <= last) {
                within = i;
            }
        }
        shift_of[part] = within < 0 ? (below << BUCKET_BITS) - first : ((below + 1) << BUCKET_BITS) - limit[within] - 1;
        shift_of[part] -= (uint64_t)POWER_OF_ONE << MANTISSA_BITS;
    }
}

/* Return the bucket of a duration from 1 to 2**47 ns. Of others, and of negative ones, the octave is none. */
static inline uint64_t
plain_bucket(uint64_t duration_ns)
{
    double value = (double)(int64_t)duration_ns;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits + shift_of[bits >> PART_BITS & 63]) >> BUCKET_BITS;
}

static inline unsigned
bucket_of(uint64_t duration_ns)
{
    uint64_t bucket = plain_bucket(duration_ns);
    return LIKELY(bucket < OCTAVES * SUB_BUCKETS) ? (unsigned)bucket : duration_ns ? OCTAVES * SUB_BUCKETS - 1 : FIRST_BUCKET;
}
