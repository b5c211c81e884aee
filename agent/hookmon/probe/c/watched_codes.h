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

/* Make an entry for a code object, which stays alive from then on. NULL with an error. */
static Watched *
add_watched(PyObject *code)
{
    Watched *known = watched_of(code);
    if (known) {
        return known;
    }
    if (2 * watched_codes.used >= watched_codes.size) {
        size_t size = watched_codes.size ? 2 * watched_codes.size : 256;
        Watched *entries = PyMem_Calloc(size, sizeof *entries);
        if (!entries) {
            PyErr_NoMemory();
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
        PyMem_Free(watched_codes.entries);
        watched_codes.entries = entries;
        watched_codes.size = size;
    }
    size_t at = pointer_index(code, watched_codes.size);
    while (watched_codes.entries[at].code) {
        at = (at + 1) & (watched_codes.size - 1);
    }
    watched_codes.used++;
    watched_codes.entries[at] = (Watched){Py_NewRef(code), NULL, NULL};
    return &watched_codes.entries[at];
}
