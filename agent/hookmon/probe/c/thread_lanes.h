/* The lanes of threads: what a thread has in several interpreters, and what it leaves when it ends. */
#pragma once

#include "base.h"
#include "state.h"
#include "types.h"

#include <pthread.h>

#ifdef OTHER_INTERPRETERS
/* What a thread has in another interpreter than the one that it runs. */
typedef struct Aside {
    struct Aside *next;
    unsigned epoch;
    Lane *lane;
    AskedLast asked_last;
} Aside;
OWN_TO_THREAD Aside *aside;

static int
is_of_engine(unsigned epoch)
{
    for (Engine *engine = __atomic_load_n(&all_engines, __ATOMIC_ACQUIRE); engine; engine = engine->next) {
        if (__atomic_load_n(&engine->interpreter, __ATOMIC_RELAXED) && __atomic_load_n(&engine->epoch, __ATOMIC_RELAXED) == epoch) {
            return 1;
        }
    }
    return 0;
}

/* Keep what the thread has here, where that is another interpreter's, and take out what it has in the one that runs. Return the lane,
 * borrowed; NULL where there is none yet. What is of an interpreter that has ended, or of a parent process, is forgotten. */
static RARE Lane *
switch_thread_lane(void)
{
    unsigned epoch = state.epoch;
    Aside found = {NULL, epoch, NULL, {0, NULL, NULL}};
    for (Aside **place = &aside; *place;) {
        Aside *kept = *place;
        int is_ours = kept->epoch == epoch;
        if (is_ours) {
            found = *kept;
        }
        if (is_ours || !is_of_engine(kept->epoch)) {
            *place = kept->next;
            free(kept);
            continue;
        }
        place = &kept->next;
    }
    if (thread_lane && is_of_engine(thread_epoch)) {
        Aside *kept = malloc(sizeof *kept);
        if (kept) { /* else a lane is lost */
            *kept = (Aside){aside, thread_epoch, thread_lane, asked_last};
            aside = kept;
        }
        asked_last = found.asked_last;
    }
    thread_epoch = found.lane ? epoch : 0;
    thread_lane = found.lane;
    return thread_lane;
}
#else
static inline Lane *
switch_thread_lane(void)
{
    return NULL;
}
#endif

/* A stack of threads that have ended. The system tells of them without the GIL; the next thread that needs a lane empties it. */
struct Ended {
    struct Ended *next; /* on the stack; until then, in another interpreter that this thread has run */
    Lane *lane;
    Lane *running; /* the lane, or that of a task in whose step the thread ended */
    unsigned epoch;
    unsigned number; /* of the engine */
    Engine *engine;
#ifdef Py_GIL_DISABLED
    PerThread *part;
#endif
};
static pthread_key_t thread_key;

static void
on_thread_end(void *value)
{
    for (Ended *ended = value, *other; ended; ended = other) {
        other = ended->next;
        Engine *engine = ended->engine;
        if (__atomic_load_n(&engine->number, __ATOMIC_RELAXED) != ended->number) {
            free(ended); /* the interpreter has ended, and all that it had */
            continue;
        }
        ended->running = thread_epoch == ended->epoch ? thread_lane : NULL;
#ifdef Py_GIL_DISABLED
        ended->part = own_part;
        own_part = NULL;
#endif
#ifdef OTHER_INTERPRETERS
        for (Aside *kept = aside; kept; kept = kept->next) {
            if (kept->epoch == ended->epoch) {
                ended->running = kept->lane;
            }
        }
#endif
        ended->next = __atomic_load_n(&engine->ended_threads, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&engine->ended_threads, &ended->next, ended, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        }
    }
#ifdef OTHER_INTERPRETERS
    while (aside) {
        Aside *next = aside->next;
        free(aside);
        aside = next;
    }
#endif
}

/* Have the lane of this thread put onto the stack when the thread ends. Without memory for that, the lane stays its own. */
static void
follow_thread_end(Lane *lane)
{
    Ended *first = pthread_getspecific(thread_key), *ended = first;
    while (ended && (ended->engine != &state || ended->number != state.number)) {
        ended = ended->next;
    }
    if (!ended) { /* else it is left over from before a fork */
        ended = calloc(1, sizeof *ended);
        if (!ended) {
            return;
        }
        *ended = (Ended){.next = first, .engine = &state, .number = state.number};
        (void)pthread_setspecific(thread_key, ended);
    }
    ended->epoch = state.epoch;
    ended->lane = (Lane *)Py_NewRef((PyObject *)lane);
}

/* Keep the lane of a thread that has ended for the next one, if there is room; takes the reference then. */
static int
keep_lane_of_thread(Lane *lane)
{
    LOCK();
    int is_kept = state.thread_spares < MOST_SPARE;
    if (is_kept) {
        state.spare_of_thread[state.thread_spares++] = lane;
    }
    UNLOCK();
    return is_kept;
}

/* Return such a lane, NULL where there is none. */
static Lane *
take_lane_of_thread(void)
{
    LOCK();
    Lane *lane = state.thread_spares ? state.spare_of_thread[--state.thread_spares] : NULL;
    UNLOCK();
    return lane;
}
