/* Finding a call's node: the one of its span under the node that the lane is at. */
#pragma once

#include "base.h"
#include "compat.h"
#include "errors.h"
#include "interned.h"
#include "lanes.h"
#include "places.h"
#include "nodes.h"
#include "state.h"
#include "types.h"

/* Replace a node that the caller owns by the one that stands for it since its transaction got its name. */
static RARE void
follow_move(Lane *lane, Node **node)
{
    LOCK();
    Move *known = find_move(lane, *node);
    Node *to = known ? (Node *)Py_NewRef(known->to) : NULL;
    UNLOCK();
    if (to) {
        Py_SETREF(*node, to);
    }
}

/* The node cache, by parent and span: a look into it touches one line of memory, a look into a dictionary four. */
#define node_cache (per_thread.node_cache)

static inline size_t
node_cache_index(Node *parent, PyObject *span)
{
    return ((uintptr_t)parent >> 6 ^ (uintptr_t)parent >> 14 ^ (uintptr_t)span >> 5) % NODE_CACHE_SIZE;
}

static Node *look_up_node(Node *parent, PyObject *span);

/* End the paired spans that were begun in a call that ends now, and are still open: see transactions/paired_spans.py. An error
 * that is set says how the call has ended (E_ADD). */
static RARE void
close_abandoned(Lane *lane, Node *node)
{
    PyObject *error = PyErr_Occurred();
    error = Py_NewRef(error ? error : Py_None);
    SavedException saved;
    exception_save(&saved);
    PyObject *answer = PyObject_CallFunctionObjArgs(state.callbacks.close_abandoned, (PyObject *)lane, (PyObject *)node, error, NULL);
    Py_XDECREF(answer);
    Py_DECREF(error);
    exception_restore_unless_new(&saved);
}

/* Return a span's node under a parent from the cache, a new reference, else NULL. */
static inline Node *
cached_node(Node *parent, PyObject *span)
{
    CachedNode *cached = node_cache;
    __asm__("" : "+r"(cached)); /* or the compiler would add where the table lies in the state at each use */
    cached += node_cache_index(parent, span);
    int is_there = cached->parent == parent && cached->span == span && cached->epoch == state.epoch;
    return LIKELY(is_there) ? (Node *)Py_NewRef(cached->node) : NULL;
}

/* Return a span's node under a parent, a new reference; NULL where it is not recorded (E_ASK). */
static HOT Node *
find_node(Node *parent, PyObject *span)
{
    Node *found = cached_node(parent, span);
    if (found) {
        return found;
    }
    unsigned epoch = state.epoch;
    Node *node = look_up_node(parent, span);
    if (node && node->number && epoch == state.epoch && has_part()) {
        CachedNode *cached = &node_cache[node_cache_index(parent, span)];
        cached->epoch = epoch;
        Py_XSETREF(cached->parent, (Node *)Py_NewRef(parent));
        Py_XSETREF(cached->span, Py_NewRef(span));
        Py_XSETREF(cached->node, (Node *)Py_NewRef(node));
    }
    return node;
}

static __attribute__((noinline)) Node *
look_up_node(Node *parent, PyObject *span)
{
    PyObject *found = child_of(children_of(parent), span); /* nodes that are children stay */
    if (found) {
        return found == Py_None ? NULL : (Node *)Py_NewRef(found);
    }
    if (parent->depth >= DEEPEST) { /* each level takes C stack, which 3.11 does not guard: see recording/recorder.py */
        PyErr_SetString(PyExc_RecursionError, "maximum recursion depth exceeded");
        return NULL;
    }
#ifndef Py_GIL_DISABLED
    Node *node = NULL;
    Charge begun = begin_charge();
    Made made = make_place(parent, span, &node);
    end_charge(begun, LONGEST_OWN_NS);
    if (LIKELY(made != IS_FOR_PYTHON) || PyErr_Occurred()) {
        return node;
    }
#endif
    found = PyObject_CallFunctionObjArgs(state.callbacks.new_node, (PyObject *)parent, span, NULL);
    if (!found) {
        if (PyErr_ExceptionMatches(PyExc_RecursionError)) {
            PyErr_Clear(); /* the stack has room for the program's call, and none for ours */
        }
        return NULL;
    }
    if (!Py_IS_TYPE(found, NodeType)) {
        Py_DECREF(found);
        return NULL;
    }
    return (Node *)found;
}

#ifdef HAS_SLOTS
/* How functions are called whose slot we have taken (events.h), as `vectorcall_of` says it. */
static vectorcallfunc slot_of_ours;
#endif

/* Say whether a function that is called so is called by way of us. */
static inline int
is_ours(vectorcallfunc way)
{
#ifdef HAS_SLOTS
    return way == slot_of_ours;
#else
    (void)way;
    return 0;
#endif
}

/* Say whether a result can be awaited: the call ends when that does. */
static inline int
is_awaitable(PyObject *result)
{
    PyAsyncMethods *async = Py_TYPE(result)->tp_as_async;
    return async && async->am_await;
}

/* Call the watched function. */
static inline PyObject *
call(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    if (LIKELY(PyFunction_Check(function))) {
        PyThreadState *thread = lend_c_recursion();
        vectorcallfunc way = vectorcall_of(function);
        PyObject *result = (LIKELY(!is_ours(way)) ? way : state.plain)(function, args, nargsf, kwnames);
        reclaim_c_recursion(thread);
        return result;
    }
    return PyObject_Vectorcall(function, args, nargsf, kwnames);
}

/* Call without recording, where there is no lane, or it is switched off. An error that is set is a signal handler's and is the answer. */
static RARE PyObject *
call_unrecorded(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return PyErr_Occurred() ? NULL : call(function, args, nargsf, kwnames);
}
