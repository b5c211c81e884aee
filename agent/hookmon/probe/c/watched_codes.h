/* Watched code objects, and what times their calls. */
#pragma once

#include "base.h"
#include "state.h"
#include "types.h"

#define watched_codes (state.watched_codes)

static inline size_t
pointer_index(const void *pointer, size_t size)
{
    return (size_t)(((uintptr_t)pointer >> 4) * 0x9E3779B97F4A7C15ull >> 20) & (size - 1);
}

/* Return the entry of a code object, NULL where it has none. Code objects are told apart by their address: two that are equal may be
 * two functions. */
#ifdef Py_GIL_DISABLED
/* A table that is read while another one takes its place: it has its size before it, and stays. */
static inline Watched *
watched_of(PyObject *code)
{
    Watched *entries = LOAD(watched_codes.entries);
    if (!entries) {
        return NULL;
    }
    size_t size = ((size_t *)entries)[-1];
    size_t at = pointer_index(code, size);
    for (PyObject *found; (found = LOAD(entries[at].code)); at = (at + 1) & (size - 1)) {
        if (found == code) {
            return &entries[at];
        }
    }
    return NULL;
}

static Watched *
new_watched_entries(size_t size)
{
    Watched *entries = PyMem_Calloc(size + 1, sizeof *entries);
    if (entries) {
        entries++;
        ((size_t *)entries)[-1] = size;
    }
    return entries;
}
#else
static inline Watched *
watched_of(PyObject *code)
{
    if (!watched_codes.size) {
        return NULL;
    }
    size_t at = pointer_index(code, watched_codes.size);
    while (watched_codes.entries[at].code) {
        if (watched_codes.entries[at].code == code) {
            return &watched_codes.entries[at];
        }
        at = (at + 1) & (watched_codes.size - 1);
    }
    return NULL;
}

static Watched *
new_watched_entries(size_t size)
{
    return PyMem_Calloc(size, sizeof(Watched));
}
#endif

/* Make an entry for a code object, which stays alive from then on; under the lock. NULL where there is no memory. */
static Watched *
add_watched_entry(PyObject *code)
{
    Watched *known = watched_of(code);
    if (known) {
        return known;
    }
    if (2 * watched_codes.used >= watched_codes.size) {
        size_t size = watched_codes.size ? 2 * watched_codes.size : 256;
        Watched *entries = new_watched_entries(size);
        if (!entries) {
            return NULL;
        }
        for (size_t i = 0; i < watched_codes.size; i++) {
            if (watched_codes.entries[i].code) {
                size_t at = pointer_index(watched_codes.entries[i].code, size);
                while (entries[at].code) {
                    at = (at + 1) & (size - 1);
                }
                entries[at] = watched_codes.entries[i];
            }
        }
#ifndef Py_GIL_DISABLED
        PyMem_Free(watched_codes.entries);
#endif
        STORE(watched_codes.entries, entries);
        watched_codes.size = size;
    }
    size_t at = pointer_index(code, watched_codes.size);
    while (watched_codes.entries[at].code) {
        at = (at + 1) & (watched_codes.size - 1);
    }
    watched_codes.used++;
    STORE(watched_codes.entries[at].code, Py_NewRef(code));
    return &watched_codes.entries[at];
}

/* Have a code object timed so from now on; NULL: not. What times it stays, where other threads may be about to ask for it. -1 with an
 * error. */
static int
set_watched(PyObject *code, PyObject *slot, PyObject *events)
{
    make_immortal(slot);
    make_immortal(events);
    LOCK();
    Watched *watched = add_watched_entry(code);
    Timed *before[2] = {watched ? watched->slot : NULL, watched ? watched->events : NULL};
    if (watched) {
        STORE(watched->slot, (Timed *)Py_XNewRef(slot));
        STORE(watched->events, (Timed *)Py_XNewRef(events));
    }
    UNLOCK();
    if (!watched) {
        PyErr_NoMemory();
        return -1;
    }
    Py_XDECREF((PyObject *)before[0]);
    Py_XDECREF((PyObject *)before[1]);
    return 0;
}

#ifdef HAS_SLOTS
/* Make an entry for a code object that nothing times yet. NULL with an error. */
static Watched *
add_watched(PyObject *code)
{
    LOCK();
    Watched *watched = add_watched_entry(code);
    UNLOCK();
    if (!watched) {
        PyErr_NoMemory();
    }
    return watched;
}
#endif
