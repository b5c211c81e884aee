/* The call of a plain function: the hot path. Begin to read here; docs/architecture.md has the way of a call through the parts. */
#pragma once

#include "base.h"
#include "checks.h"
#include "clock.h"
#include "contexts.h"
#include "control.h"
#include "counting.h"
#include "finding.h"
#include "interned.h"
#include "lanes.h"
#include "membership.h"
#include "names.h"
#include "numbers.h"
#include "state.h"
#include "traces.h"
#include "origins.h"
#include "transactions.h"
#include "types.h"

/* Return the node of a call, a new reference, and remember it for the next one; NULL where it is not recorded (E_ASK). */
static HOT __attribute__((noinline)) Node *
find_called_node(Timed *self, Node *parent, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *span = span_of(self, args, PyVectorcall_NARGS(nargsf), kwnames);
    if (!span) {
        return NULL;
    }
#ifndef Py_GIL_DISABLED
    if (parent == self->last_parent && span == self->last_span && self->last_epoch == state.epoch) {
        Py_DECREF(span);
        return (Node *)Py_NewRef(self->last_node);
    }
#endif
    Py_INCREF(parent);
    Node *node = find_node(parent, span);
    Py_DECREF(parent); /* the lane owns it */
#ifndef Py_GIL_DISABLED
    if (node) {
        self->last_epoch = state.epoch;
        Py_XSETREF(self->last_parent, (Node *)Py_NewRef(parent));
        Py_XSETREF(self->last_span, Py_NewRef(span));
        Py_XSETREF(self->last_node, (Node *)Py_NewRef(node));
    }
#endif
    Py_DECREF(span);
    return node;
}

/* Only count a call: its target costs too much. */
static RARE PyObject *
call_untimed(PyObject *function, Lane *lane, Node **node, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Node *parent = lane->node; /* its reference is ours until it goes back: I3 */
    (*node)->skip++;
    lane->node = (Node *)Py_NewRef(*node);
    PyObject *result = call(function, args, nargsf, kwnames);
    if (lane->moves && (*node)->depth <= lane->moved_depth) {
        follow_move(lane, node);
        follow_move(lane, &parent);
    }
    if (lane->node != *node) {
        close_abandoned(lane, *node);
        if (result && PyErr_Occurred()) {
            Py_CLEAR(result);
        }
    }
    Py_SETREF(lane->node, parent);
    ADD_TO(state.words[(*node)->total + UNTIMED], 1);
    int outcome = result ? OUTCOME_RETURNED : count_exception(*node);
    if (lane->trace) {
        trace_add(lane->trace, *node, 0, 0, OUTCOME_UNTIMED | outcome);
    }
    return result;
}

/* Return what times an awaitable to its end, in its place. Takes the reference; NULL with an error. */
static RARE PyObject *
follow_awaitable(PyObject *result, PyObject *span, uint64_t start_ns)
{
    PyObject *start = PyLong_FromUnsignedLongLong(start_ns);
    PyObject *followed = start ? PyObject_CallFunctionObjArgs(state.callbacks.follow_awaitable, result, span, start, NULL) : NULL;
    Py_XDECREF(start);
    Py_DECREF(result);
    return followed;
}

/* Have a call at the root of its lane join the transaction of its context: see `join_transaction`. */
static RARE PyObject *
join_call(Timed *self, Lane *lane, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *span = is_member() ? span_of(self, args, PyVectorcall_NARGS(nargsf), kwnames) : NULL;
    PyObject *opened = span ? join_transaction(lane, span) : NULL;
    Py_XDECREF(span);
    return opened;
}

/* Call a function and time it. While the call lasts, the lane's reference to the parent is ours (I3). */
static inline __attribute__((always_inline)) PyObject *
time_call(Timed *self, PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    CHECK(!PyErr_Occurred());
    Lane *lane = running_lane();
    if (!LIKELY(lane)) {
        return call_unrecorded(function, args, nargsf, kwnames);
    }
    CHECK(is_sound_lane(lane));
    PyObject *opened = NULL;
    if (state.joining && (PyObject *)lane->node == state.root) {
        opened = join_call(self, lane, args, nargsf, kwnames);
        if (!opened && PyErr_Occurred()) { /* it must reach the program */
            Py_DECREF(lane);
            return NULL;
        }
    }
    Node *parent = lane->node;
    Node *node = NULL;
    PyObject *result = NULL;
    PyObject *moved = NULL; /* the span, where the node has become another one during the call */
    int outcome = OUTCOME_RETURNED;
#ifdef Py_GIL_DISABLED /* the node cache is the thread's own */
    PyObject *known = cached_span(self, args, PyVectorcall_NARGS(nargsf));
    node = LIKELY(known) ? cached_node(parent, known) : NULL;
#else
    if (LIKELY(parent == self->last_parent && self->last_epoch == state.epoch)) {
        PyObject *span = cached_span(self, args, PyVectorcall_NARGS(nargsf));
        if (LIKELY(span && (span == self->span || span == self->last_span))) {
            node = (Node *)Py_NewRef(self->last_node);
        }
    }
#endif
    if (!node) {
        node = find_called_node(self, parent, args, nargsf, kwnames);
        if (!node) {
            if (opened) { /* a call around it covers this one; calls inside of it ask again */
                close_opened(opened);
                opened = NULL;
            }
            result = call_unrecorded(function, args, nargsf, kwnames);
            goto done;
        }
    }
    if (node->entry) {
        opened = open_entry(lane, node, opened);
        note_origin(opened, args, PyVectorcall_NARGS(nargsf));
        if (PyErr_Occurred()) {
            goto done;
        }
    }
    if (node->skip) {
        if (node->skip < ONE_TIMED_OF) {
            result = call_untimed(function, lane, &node, args, nargsf, kwnames);
            goto done;
        }
        node->skip = 1;
    }
    CHECK(is_sound_place(lane, node));
    uint64_t *words = state.words;
    Py_ssize_t slot = lane->base + node->slot;
    lane->node = (Node *)Py_NewRef(node);
    words[slot] = node->number;
    uint64_t start_ns = now_ns();
    words[slot + 1] = start_ns;
    CHECK(words == state.words); /* I1 */
    result = call(function, args, nargsf, kwnames);
    uint64_t duration_ns = since_ns(start_ns);
    if (lane->moves && node->depth <= lane->moved_depth) {
        moved = Py_NewRef(node->span);
        follow_move(lane, &node);
        follow_move(lane, &parent);
    }
    if (!LIKELY(lane->node == node)) {
        close_abandoned(lane, node);
        if (result && PyErr_Occurred()) {
            Py_CLEAR(result);
        }
    }
    Py_SETREF(lane->node, parent);
    CHECK(is_sound_lane(lane) && is_sound_place(lane, node));
    state.words[lane->base + node->slot] = 0; /* not `slot`: I2 */
    if (LIKELY(result)) {
        PyAsyncMethods *async = Py_TYPE(result)->tp_as_async;
        if (async && async->am_await) {
            result = follow_awaitable(result, moved ? moved : node->span, start_ns);
            goto done;
        }
    }
    else {
        outcome = count_exception(node);
    }
    ADD_TO(state.words[node->total], duration_ns);
    int rare = count_call(node, duration_ns);
    if (lane->trace) {
        trace_add(lane->trace, node, start_ns, duration_ns, outcome);
        rare = 1;
    }
    if (rare && result && PyErr_Occurred()) {
        Py_CLEAR(result);
    }
done:
    if (opened) {
        close_opened(opened);
        if (result && PyErr_Occurred()) {
            Py_CLEAR(result);
        }
    }
    Py_XDECREF(moved);
    Py_XDECREF(node);
    Py_DECREF(lane);
    CHECK(!result == !!PyErr_Occurred()); /* E_SET */
    return result;
}

static __attribute__((hot)) PyObject *
timed_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    return is_off(self) ? call_unrecorded(self->function, args, nargsf, kwnames)
                        : time_call(self, self->function, args, nargsf, kwnames);
}
