/* Functions that are timed one by one, whatever their code is: callbacks, of which others may have the same code. */
#pragma once

#include "base.h"
#include "compat.h"
#include "state.h"
#include "types.h"
#include "watched_codes.h"

#define taken_functions (state.taken_functions)

/* Return what times a function, borrowed; NULL where it is none of these. */
static inline Timed *
find_taken(PyObject *function)
{
    if (!taken_functions.used) {
        return NULL;
    }
    size_t at = pointer_index(function, taken_functions.size);
    while (taken_functions.entries[at].function) {
        if (taken_functions.entries[at].function == function) {
            return taken_functions.entries[at].timed;
        }
        at = (at + 1) & (taken_functions.size - 1);
    }
    return NULL;
}

static inline Timed *
timer_of_function(PyObject *function)
{
    if (!taken_functions.used) {
        return NULL;
    }
    LOCK();
    Timed *timed = find_taken(function);
    UNLOCK();
    return timed;
}

#ifdef HAS_SLOTS
static void
put_taken(TakenFunction *entries, size_t size, TakenFunction taken)
{
    size_t at = pointer_index(taken.function, size);
    while (entries[at].function) {
        at = (at + 1) & (size - 1);
    }
    entries[at] = taken;
}

/* Time a function that is none of these yet. -1 with an error. */
static int
add_taken(PyObject *function, Timed *timed)
{
    make_immortal((PyObject *)timed);
    LOCK();
    if (2 * taken_functions.used >= taken_functions.size) {
        size_t size = taken_functions.size ? 2 * taken_functions.size : 64;
        TakenFunction *entries = PyMem_Calloc(size, sizeof *entries);
        if (!entries) {
            UNLOCK();
            PyErr_NoMemory();
            return -1;
        }
        for (size_t i = 0; i < taken_functions.size; i++) {
            if (taken_functions.entries[i].function) {
                put_taken(entries, size, taken_functions.entries[i]);
            }
        }
        PyMem_Free(taken_functions.entries);
        taken_functions.entries = entries;
        taken_functions.size = size;
    }
    taken_functions.used++;
    put_taken(taken_functions.entries, taken_functions.size, (TakenFunction){function, (Timed *)Py_NewRef(timed)});
    UNLOCK();
    return 0;
}

/* Time a function no more. What stood behind it for want of room moves up. */
static void
remove_taken(PyObject *function)
{
    if (!taken_functions.used) {
        return;
    }
    LOCK();
    if (!find_taken(function)) {
        UNLOCK();
        return;
    }
    TakenFunction *entries = taken_functions.entries;
    size_t last = taken_functions.size - 1;
    size_t at = pointer_index(function, taken_functions.size);
    while (entries[at].function != function) {
        at = (at + 1) & last;
    }
    Timed *timed = entries[at].timed;
    for (size_t next = (at + 1) & last; entries[next].function; next = (next + 1) & last) {
        size_t home = pointer_index(entries[next].function, taken_functions.size);
        if (((next - home) & last) >= ((next - at) & last)) {
            entries[at] = entries[next];
            at = next;
        }
    }
    entries[at] = (TakenFunction){NULL, NULL};
    taken_functions.used--;
    UNLOCK();
    Py_DECREF((PyObject *)timed);
}
#endif
