/* Threads that run at the same time, where CPython has no GIL.
 *
 * Each thread has a part of the state of its own, with a call tree of its own: the children of the root are those of the thread that asks.
 * So a call touches no memory that another thread writes to. The collector adds places of one name up. A thread that begins takes over
 * the part of one that has ended. What several threads do share is either added to in one piece (ADD_TO), as the words of a transaction
 * that has calls in several threads; or changed under LOCK, while nothing is called; or never goes: nodes, lanes, spans and what times
 * functions are immortal there, as CPython 3.13 has functions, or their counts of references would be what threads wait for. */
#pragma once

#include "base.h"
#include "state.h"

#ifdef Py_GIL_DISABLED
OWN_TO_THREAD PerThread *own_part; /* NULL until the thread makes its first call */
static PerThread without_part;     /* what is read in a thread that has none; it stays as it is */

static inline PerThread *
present_per_thread(void)
{
    return LIKELY(own_part) ? own_part : &without_part;
}

/* Say whether the thread has a part, which may be written to. */
static inline int
has_part(void)
{
    return own_part != NULL;
}

/* Have a part of the state for this thread. -1 without an error where there is no memory. */
static RARE int
make_part(void)
{
    if (own_part) {
        return 0;
    }
    LOCK();
    PerThread *part = state.idle;
    if (part) {
        state.idle = part->next;
    }
    UNLOCK();
    void *memory = part;
    if (!part) {
        if (posix_memalign(&memory, 64, sizeof *part)) {
            return -1;
        }
        memset(memory, 0, sizeof *part);
    }
    own_part = memory;
    return 0;
}

/* Leave the part of a thread that has ended to the next one. */
static void
release_part(PerThread *part)
{
    LOCK();
    part->next = state.idle;
    state.idle = part;
    UNLOCK();
}

/* Have an object stay for good, whose count of references many threads would change. Only who makes it may do so, or who has it. */
static inline void
make_immortal(PyObject *object)
{
    if (object && object->ob_ref_local != UINT32_MAX) {
        object->ob_tid = 0;
        object->ob_ref_shared = 0;
        object->ob_ref_local = UINT32_MAX;
    }
}

#define LOAD(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define STORE(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
#else
#define LOAD(place) (place)
#define STORE(place, value) ((place) = (value))

static inline int
has_part(void)
{
    return 1;
}

static inline int
make_part(void)
{
    return 0;
}

static inline void
make_immortal(PyObject *Py_UNUSED(object))
{
}
#endif
