/* Freelists: memory of objects that are gone, for the next ones of their type. What was in use a moment ago is still near. */
#pragma once

#include "base.h"
#include "checks.h"
#include "state.h"
#include "tables.h"
#include "types.h"

/* Make an object of a type that the garbage collector could follow and does not, with nothing in it: nobody but us will have it. */
static RARE PyObject *
alloc_untracked(PyTypeObject *type)
{
    PyObject *made = type->tp_alloc(type, 0);
    if (made) {
        PyObject_GC_UnTrack(made);
    }
    return made;
}

/* Return such an object. */
static inline PyObject *
freelist_pop_untracked(Freelist *freelist, PyTypeObject *type)
{
#ifdef Py_GIL_DISABLED /* the allocator has lists of each thread */
    (void)freelist;
    return alloc_untracked(type);
#endif
    return LIKELY(freelist->count) ? PyObject_Init(freelist->ones[--freelist->count], type) : alloc_untracked(type);
}

/* Return an object of a type that the garbage collector follows, with nothing in it. */
static PyObject *
freelist_pop(Freelist *freelist, PyTypeObject *type)
{
    PyObject *self = freelist_pop_untracked(freelist, type);
    if (self) {
        PyObject_GC_Track(self);
    }
    return self;
}

/* Take the memory of an object that the garbage collector does not follow any more, and in which there is nothing; the reference
 * to its type stays the caller's. */
static inline void
freelist_push(Freelist *freelist, PyObject *self)
{
    CHECK(is_dead(self)); /* I5 */
#ifdef Py_GIL_DISABLED
    (void)freelist;
    Py_TYPE(self)->tp_free(self);
    return;
#endif
    if (LIKELY(freelist->count < MOST_SPARE)) {
        freelist->ones[freelist->count++] = self;
    }
    else {
        Py_TYPE(self)->tp_free(self);
    }
}

#define member_freelist (state.member_freelist)
#define transaction_freelist (state.transaction_freelist)
#define coroutine_freelist (state.coroutine_freelist)
#define send_freelist (state.send_freelist)
#define callback_iterator_freelist (state.callback_iterator_freelist)
