/* The checking build, -DHOOKMON_CHECKS: a broken invariant ends the process where it is seen. In other builds there is nothing of
 * it. */
#pragma once

#include "base.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

#ifdef HOOKMON_CHECKS
#define CHECK(claim) ((claim) ? (void)0 : end_by_check(#claim, __FILE__, __LINE__))
static __attribute__((noreturn, cold)) void
end_by_check(const char *claim, const char *file, int line)
{
    fprintf(stderr, "hookmon: %s:%d: CHECK(%s) does not hold\n", file, line, claim);
    abort();
}

/* I1: an index lies within the words. */
static inline int
is_word(Py_ssize_t at)
{
    return at >= 0 && (size_t)at < (size_t)state.buffer.len / sizeof *state.words;
}

/* I1: a node's counters, and its pair in a lane, lie within the words. */
static inline int
is_sound_place(Lane *lane, Node *node)
{
    int is_slot = node->slot >= 0 && node->slot <= 2 * (LANE_DEPTH - 1) && node->slot % 2 == 0;
    return is_slot && is_word(lane->base + node->slot + 1) && is_word(node->total) && is_word(node->total + UNTIMED);
}

/* I3: a lane owns a node. */
static inline int
is_sound_lane(Lane *lane)
{
    return Py_REFCNT(lane) > 0 && lane->node && Py_IS_TYPE((PyObject *)lane->node, NodeType) && Py_REFCNT(lane->node) > 0;
}

static int
refuse_reference(PyObject *referent, void *type)
{
    return referent != (PyObject *)type; /* of which the freed object's reference is the caller's */
}

/* I5: what a freelist gets is dead, not tracked, and refers to nothing but its type. */
static inline int
is_dead(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return Py_REFCNT(object) == 0 && !PyObject_GC_IsTracked(object) && type->tp_traverse(object, refuse_reference, type) == 0;
}
#else
#define CHECK(claim) ((void)0)
#endif
