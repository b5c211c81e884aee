/* Generators and coroutines that are known by the events of their code, from their first step to their end. */
#pragma once

#include "base.h"
#include "compat.h"
#include "coroutines.h"
#include "freelist.h"
#include "generators.h"
#include "state.h"
#include "types.h"
#include "watched_codes.h"

/* Generators and coroutines of watched code that have begun and not ended, by `run_key`. */
#define runs (state.runs)

/* Return what is the running generator's or coroutine's own for as long as it lives: where it keeps the exception that it handles. */
static inline void *
run_key(void)
{
    return handled_exception(PyThreadState_Get());
}

/* From the address of a generator or coroutine to its key; 0 until it is known. */
#define offset_of_key (state.offset_of_key)

static inline Run *
find_in_runs(void *key)
{
    if (!runs.size) {
        return NULL;
    }
    size_t mask = runs.size - 1;
    for (size_t at = pointer_index(key, runs.size); runs.entries[at].key; at = (at + 1) & mask) {
        if (runs.entries[at].key == key) {
            return &runs.entries[at];
        }
    }
    return NULL;
}

#ifdef Py_GIL_DISABLED
OWN_TO_THREAD Run found_run; /* as it was found; who runs it is alone with it */

static inline Run *
find_run(void *key)
{
    if (!__atomic_load_n(&runs.size, __ATOMIC_RELAXED)) {
        return NULL;
    }
    LOCK();
    Run *found = find_in_runs(key);
    if (found) {
        found_run = *found;
    }
    UNLOCK();
    return found ? &found_run : NULL;
}
#else
static inline Run *
find_run(void *key)
{
    return find_in_runs(key);
}
#endif

/* Take a run out of the table, and move those up that stand behind it since its place was taken. Its references are the caller's. */
static inline Run
take_run(Run *run)
{
#ifdef Py_GIL_DISABLED
    LOCK();
    run = find_in_runs(run->key);
    if (!run) {
        UNLOCK();
        return (Run){NULL, NULL, NULL, NULL};
    }
#endif
    Run taken = *run;
    size_t mask = runs.size - 1;
    size_t free_at = (size_t)(run - runs.entries);
    for (size_t at = (free_at + 1) & mask; runs.entries[at].key; at = (at + 1) & mask) {
        size_t home = pointer_index(runs.entries[at].key, runs.size);
        if (((at - home) & mask) >= ((at - free_at) & mask)) {
            runs.entries[free_at] = runs.entries[at];
            free_at = at;
        }
    }
    runs.entries[free_at].key = NULL;
    runs.count--;
    UNLOCK();
    return taken;
}

/* Records that are whole and empty, for the next coroutines. The garbage collector does not follow records, for what it follows the
 * program can have: I5. None is part of a cycle: what they refer to does not know of them. */
#define spare_records (per_thread.spare_records)
#define spare_record_count (per_thread.spare_record_count)

/* The same of generators. */
#define spare_generators (per_thread.spare_generators)
#define spare_generator_count (per_thread.spare_generator_count)

/* Add to spares, whose number what makes it may have changed: it may run the garbage collector. -1 with an error. */
static RARE int
add_spare(PyObject *made, PyObject **spares, int *count)
{
    if (made && *count < MOST_SPARE) {
        spares[(*count)++] = made;
        return 0;
    }
    Py_XDECREF(made);
    return made ? 0 : -1;
}

/* Have a spare record of each kind. -1 with an error. */
static RARE int
add_spares(void)
{
    while (!spare_record_count || !spare_generator_count) {
        if (add_spare(freelist_pop_untracked(&coroutine_freelist, CoroutineType), spare_records, &spare_record_count) < 0
            || add_spare(alloc_untracked(GeneratorType), spare_generators, &spare_generator_count) < 0) {
            return -1;
        }
    }
    return 0;
}

static inline __attribute__((always_inline)) void
drop_run(Run taken)
{
#ifdef Py_GIL_DISABLED /* nothing is kept: who else refers to a record cannot be told */
    Py_XDECREF(taken.record);
    Py_XDECREF((PyObject *)taken.body);
    return;
#endif
    Coroutine *record = (Coroutine *)taken.record;
    if (LIKELY(Py_IS_TYPE(taken.record, CoroutineType) && Py_REFCNT(record) == 1 && record->ended && !record->opened
               && spare_record_count < MOST_SPARE)) {
        Node *parent = record->parent, *node = record->node;
        PyObject *span = record->span;
        Lane *outer = record->outer;
        record->parent = record->node = NULL; /* as its dealloc would do, of which most has nothing to do */
        record->span = NULL;
        record->outer = NULL;
        record->duties = record->ended = 0;
        record->started_ns = record->active_ns = record->steps = record->step_ns = 0;
        spare_records[spare_record_count++] = taken.record;
        Py_XDECREF(parent);
        Py_XDECREF(node);
        Py_XDECREF(span);
        Py_XDECREF(outer);
        Py_XDECREF((PyObject *)taken.body);
        return;
    }
    Generator *generator = (Generator *)taken.record;
    if (LIKELY(generator && Py_IS_TYPE(taken.record, GeneratorType) && Py_REFCNT(generator) == 1 && generator->ended
               && !generator->stepping && !taken.body && spare_generator_count < MOST_SPARE)) {
        Py_CLEAR(generator->node);
        Py_CLEAR(generator->span);
        generator->started = generator->ended = 0;
        generator->used_ns = generator->waited_ns = generator->steps = 0;
        spare_generators[spare_generator_count++] = taken.record;
        return;
    }
    Py_XDECREF(taken.record);
    Py_XDECREF((PyObject *)taken.body);
}

static inline Run *
place_run(Run *entries, size_t size, Run run)
{
    size_t at = pointer_index(run.key, size);
    while (entries[at].key) {
        at = (at + 1) & (size - 1);
    }
    entries[at] = run;
    return &entries[at];
}

/* Make room for one more. -1 with an error. */
static RARE int
grow_runs(void)
{
    size_t size = runs.size ? 2 * runs.size : 64;
    Run *entries = PyMem_Calloc(size, sizeof *entries);
    if (!entries) {
        return -1;
    }
    for (size_t i = 0; i < runs.size; i++) {
        if (runs.entries[i].key) {
            place_run(entries, size, runs.entries[i]);
        }
    }
    PyMem_Free(runs.entries);
    runs.entries = entries;
    runs.size = size;
    return 0;
}

enum { IS_GENERATOR = 0x20, IS_COROUTINE = 0x80, IS_ITERABLE_COROUTINE = 0x100, IS_ASYNC_GENERATOR = 0x200 };
enum { RUNS = IS_GENERATOR | IS_COROUTINE | IS_ITERABLE_COROUTINE | IS_ASYNC_GENERATOR };

/* Put a run in the place of one under the same key, which has gone without an event. Returns its place. */
static RARE Run *
replace_run(Run *place, Run fresh)
{
    Run before = *place;
    *place = fresh;
    drop_run(before);
    return find_run(fresh.key);
}

/* Have a run of a span, not begun yet, in the place of one under the same key, which has gone without an event. Returns its place;
 * NULL with an error. */
static inline Run *
put_run(void *key, PyObject *code, PyObject *span)
{
    int flags = ((PyCodeObject *)code)->co_flags;
#ifdef Py_GIL_DISABLED
    if (make_part() < 0) {
        PyErr_NoMemory();
        return NULL;
    }
#endif
    if (!LIKELY(spare_record_count && spare_generator_count) && add_spares() < 0) {
        return NULL;
    }
    LOCK();
    if (2 * (runs.count + 1) > runs.size && grow_runs() < 0) {
        UNLOCK();
        PyErr_NoMemory();
        return NULL;
    }
    size_t at = pointer_index(key, runs.size);
    while (runs.entries[at].key && runs.entries[at].key != key) {
        at = (at + 1) & (runs.size - 1);
    }
    Run *place = &runs.entries[at]; /* from here to its end nothing calls Python */
    PyObject *record;
    Generator *body = NULL;
    if (LIKELY(flags & (IS_COROUTINE | IS_ITERABLE_COROUTINE | IS_ASYNC_GENERATOR))) {
        record = spare_records[--spare_record_count];
        ((Coroutine *)record)->span = Py_NewRef(span);
        if (flags & IS_ASYNC_GENERATOR) {
            body = (Generator *)spare_generators[--spare_generator_count];
            body->span = Py_NewRef(span);
        }
    }
    else {
        record = spare_generators[--spare_generator_count];
        ((Generator *)record)->span = Py_NewRef(span);
    }
    Run fresh = {key, code, record, body};
#ifdef Py_GIL_DISABLED
    Run before = *place;
    *place = found_run = fresh;
    runs.count += !before.key;
    UNLOCK();
    if (before.key) { /* else the place was free, with what stood there still in it */
        drop_run(before);
    }
    found_run = fresh;
    return &found_run;
#endif
    if (!LIKELY(!place->key)) {
        return replace_run(place, fresh);
    }
    *place = fresh;
    runs.count++;
    return place;
}

static inline int
has_begun(Run *run)
{
    if (Py_IS_TYPE(run->record, GeneratorType)) {
        return ((Generator *)run->record)->started;
    }
    return ((Coroutine *)run->record)->lane || ((Coroutine *)run->record)->ended || (run->body && run->body->started);
}
