/* Calls of plain functions, by the events of their code: what is open stands in the lane. */
#pragma once

#include "base.h"
#include "calls.h"
#include "checks.h"
#include "clock.h"
#include "counting.h"
#include "errors.h"
#include "finding.h"
#include "lanes.h"
#include "names.h"
#include "numbers.h"
#include "state.h"
#include "traces.h"
#include "origins.h"
#include "transactions.h"
#include "types.h"

/* Deeper calls have no place of their own in the tree: here nothing nests in C, and wrappers below keep the rest of DEEPEST. */
enum { DEEPEST_BY_EVENTS = DEEPEST / 4 * 3 };

/* Return the node of a call that events tell of, a new reference. NULL where it is not recorded (E_ASK). */
static inline Node *
find_event_node(Timed *self, Node *parent, PyObject *const *args, Py_ssize_t count)
{
#ifdef Py_GIL_DISABLED
    PyObject *known = cached_span(self, args, count);
    Node *there = LIKELY(known) ? cached_node(parent, known) : NULL;
    if (LIKELY(there)) {
        return there;
    }
#else
    if (LIKELY(parent == self->last_parent && !(self->last_node->special & IS_RETIRED))) {
        PyObject *span = cached_span(self, args, count);
        if (LIKELY(span && (span == self->span || span == self->last_span))) {
            return (Node *)Py_NewRef(self->last_node);
        }
    }
#endif
    if (LIKELY(parent->depth < DEEPEST_BY_EVENTS)) {
        return find_called_node(self, parent, args, (size_t)count, NULL);
    }
    PyObject *span = span_of(self, args, count, NULL);
    PyObject *node = span ? PyObject_CallOneArg(state.callbacks.flat_node, span) : NULL;
    Py_XDECREF(span);
    if (node && !Py_IS_TYPE(node, NodeType)) {
        Py_CLEAR(node);
    }
    return (Node *)node;
}

static inline OpenCall *
push_open_call(Lane *lane)
{
    if (lane->open_calls == lane->open_room) {
        int room = lane->open_room ? 2 * lane->open_room : 8;
        OpenCall *open = PyMem_Realloc(lane->open, (size_t)room * sizeof *open);
        if (!open) {
            return NULL;
        }
        lane->open = open;
        lane->open_room = room;
    }
    return &lane->open[lane->open_calls++];
}

/* A call has begun. -1 with an error that must reach the program. */
static HOT int
enter_call(Timed *self, PyObject *code, PyObject *const *args, Py_ssize_t count)
{
    Lane *lane = running_lane();
    if (!LIKELY(lane)) {
        return PyErr_Occurred() ? -1 : 0;
    }
    CHECK(is_sound_lane(lane));
    PyObject *opened = NULL;
    if (state.joining && (PyObject *)lane->node == state.root) {
        opened = join_call(self, lane, args, (size_t)count, NULL);
        if (!opened && PyErr_Occurred()) {
            Py_DECREF(lane);
            return -1;
        }
    }
    Node *node = find_event_node(self, lane->node, args, count);
    if (!node && opened) {
        close_opened(opened);
        opened = NULL;
    }
    if (node && node->entry) {
        opened = open_entry(lane, node, opened);
        note_origin(opened, args, count);
    }
    OpenCall *call = PyErr_Occurred() ? NULL : push_open_call(lane);
    if (!call) {
        Py_XDECREF(node);
        if (opened) {
            close_opened(opened);
        }
        Py_DECREF(lane);
        return PyErr_Occurred() ? -1 : 0;
    }
    *call = (OpenCall){code, NULL, node, opened, 0};
    if (LIKELY(node)) {
        call->parent = lane->node; /* its reference is ours until it goes back: I3 */
        lane->node = (Node *)Py_NewRef(node);
        if (node->skip && node->skip < ONE_TIMED_OF) {
            node->skip++;
        }
        else {
            if (node->skip) {
                node->skip = 1;
            }
            CHECK(is_sound_place(lane, node));
            uint64_t *words = state.words;
            Py_ssize_t slot = lane->base + node->slot;
            words[slot] = node->number;
            call->start_ns = words[slot + 1] = now_ns();
        }
    }
    Py_DECREF(lane);
    return 0;
}

/* Take the innermost open call of a code object; what lies above it has ended without an event. `code` is NULL where there is none. */
static inline OpenCall
pop_open_call(Lane *lane, PyObject *code)
{
    int at = lane->open_calls - 1;
    while (at >= 0 && lane->open[at].code != code) {
        at--;
    }
    if (at < 0) { /* it was open before its events were asked for */
        return (OpenCall){NULL, NULL, NULL, NULL, 0};
    }
    if (at < lane->open_calls - 1) {
        forget_calls(lane, at + 1);
    }
    return lane->open[--lane->open_calls];
}

/* A call has ended, by an exception or, NULL, without one. -1 with an error that must reach the program. */
static HOT int
leave_call(PyObject *code, PyObject *exception)
{
    uint64_t ended_ns = now_ns();
    Lane *lane = present_lane();
    if (!lane || !lane->open_calls) {
        return 0;
    }
    OpenCall call = pop_open_call(lane, code);
    if (!call.node) {
        return 0;
    }
    Py_INCREF(lane);
    set_outcome(exception);
    Node *node = call.node;
    if (lane->moves && node->depth <= lane->moved_depth) {
        follow_move(lane, &node);
        follow_move(lane, &call.parent);
    }
    if (!LIKELY(lane->node == node)) {
        close_abandoned(lane, node);
    }
    Py_SETREF(lane->node, call.parent);
    CHECK(is_sound_lane(lane) && is_sound_place(lane, node));
    uint64_t duration_ns = ended_ns > call.start_ns ? ended_ns - call.start_ns : 0;
    int outcome = exception ? count_exception(node) : OUTCOME_RETURNED;
    if (LIKELY(call.start_ns)) {
        state.words[lane->base + node->slot] = 0;
        ADD_TO(state.words[node->total], duration_ns);
        count_call(node, duration_ns);
    }
    else {
        ADD_TO(state.words[node->total + UNTIMED], 1);
        outcome |= OUTCOME_UNTIMED;
        duration_ns = 0;
    }
    if (lane->trace) {
        trace_add(lane->trace, node, call.start_ns, duration_ns, outcome);
    }
    if (call.opened) {
        close_opened(call.opened);
    }
    Py_DECREF(node);
    Py_DECREF(lane);
    return LIKELY(!exception && !PyErr_Occurred()) ? 0 : clear_outcome(exception);
}
