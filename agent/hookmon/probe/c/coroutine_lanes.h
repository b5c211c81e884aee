/* The lane of a coroutine: that of its task, or of the thread where there is no task. */
#pragma once

#include "base.h"
#include "clock.h"
#include "compat.h"
#include "computing.h"
#include "errors.h"
#include "finding.h"
#include "interned.h"
#include "lanes.h"
#include "membership.h"
#include "numbers.h"
#include "state.h"
#include "tasks.h"
#include "transactions.h"
#include "types.h"

/* Return a lane for a task, whose reference is taken: one that another task has left, as it is in the shard but for the thread, or a
 * new one. What is no lane: there is none. NULL with an error. */
static PyObject *
acquire_task_lane(PyObject *task)
{
    if (!LIKELY(per_thread.spares)) {
        PyObject *made = PyObject_CallOneArg(state.callbacks.new_lane, task);
        Py_DECREF(task);
        return made;
    }
    Lane *lane = per_thread.spare[--per_thread.spares];
    state.words[lane->base + LANE_IDENT - LANE_FIRST] = thread_ident();
    Py_XSETREF(lane->task, task);
    return (PyObject *)lane;
}

/* Leave a task's lane to the next one. E_ADD. */
static inline void
release_task_lane(Lane *lane)
{
    lane->context = NULL;
    if (per_thread.spares < MOST_SPARE && has_part() && lane->base != SCRATCH_LANE) {
        Py_XSETREF(lane->node, (Node *)Py_NewRef(state.root));
        Py_CLEAR(lane->trace);
        if (lane->moves) {
            forget_moves(lane);
        }
        if (lane->open_calls) {
            forget_calls(lane, 0);
        }
        per_thread.spare[per_thread.spares++] = (Lane *)Py_NewRef((PyObject *)lane);
        return;
    }
    SavedException saved;
    exception_save(&saved);
    PyObject *answer = PyObject_CallOneArg(state.callbacks.free_lane, (PyObject *)lane);
    Py_XDECREF(answer);
    exception_restore_unless_new(&saved);
}

/* Have the running lane be that of the running task, which takes a new one when it has none; NULL where there is none. -1 with an
 * error. Which task runs is asked only when the context is another one than that of the lane's task. */
static inline int
coroutine_enter_task(Coroutine *self, PyThreadState *thread, Lane **lane)
{
    void *context = thread_context(thread);
    if (context && (*lane)->context == context) {
        return 0;
    }
    PyObject *task = running_task(thread);
    PyObject *own = (*lane)->task;
    int is_same = !task ? -1 : own == task ? 1 : own == Py_None ? 0 : PyObject_RichCompareBool(own, task, Py_EQ);
    if (!LIKELY(is_same == 0)) {
        Py_XDECREF(task);
        if (is_same < 0) {
            Py_CLEAR(*lane);
        }
        return is_same < 0 ? -1 : 0;
    }
    PyObject *fresh = acquire_task_lane(task);
    if (!fresh || !Py_IS_TYPE(fresh, LaneType)) {
        int failed = fresh ? 0 : -1;
        Py_XDECREF(fresh);
        Py_CLEAR(*lane);
        return failed;
    }
    Lane *outer = *lane;
    *lane = (Lane *)fresh;
    (*lane)->context = context;
    (*lane)->pairs = state.words + (*lane)->base;
    self->duties = OWNS_LANE;
    self->outer = outer;
    if (LIKELY(thread_epoch == state.lane_epoch && thread_lane == outer)) {
        thread_lane = (Lane *)Py_NewRef((PyObject *)*lane);
        Py_DECREF((PyObject *)outer); /* the thread's reference; ours is the coroutine's now */
        return 0;
    }
    run_lane(*lane);
    return 0;
}

/* Have the steps measured, if what the coroutine has opened is. E_KEEP. */
static RARE void
coroutine_note_part(Coroutine *self)
{
    if (self->opened && !PyErr_Occurred()) {
        PyObject *part = part_of(self->opened);
        self->duties |= part ? IS_MEASURED : 0;
        Py_XDECREF(part);
    }
}

/* Find the node of a coroutine that is the first in its lane or of its name, or the entry of a transaction. -1 with an error. */
static __attribute__((noinline)) int
coroutine_find_node(Coroutine *self, Lane *lane)
{
    Py_CLEAR(self->node);
    if (state.joining && (PyObject *)lane->node == state.root) {
        self->opened = join_transaction(lane, self->span);
        if (self->opened) {
            coroutine_note_part(self);
        }
    }
    if (!PyErr_Occurred()) {
        Node *above = (Node *)Py_NewRef(lane->node);
        self->node = find_node(above, self->span);
        Py_DECREF(above);
    }
    if (!self->node && self->opened) {
        close_opened(self->opened);
        self->opened = NULL;
    }
    else if (self->node && self->node->entry) {
        self->opened = open_entry(lane, self->node, self->opened);
        if (self->origin && self->opened && Py_IS_TYPE(self->opened, TransactionType)) {
            Py_XSETREF(((Transaction *)self->opened)->origin, self->origin);
            self->origin = NULL;
        }
        coroutine_note_part(self);
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* Take a place in the tree: under the span that awaits, or at the root of a new lane for a new task. -1 with an error. */
static inline __attribute__((always_inline)) int
coroutine_open(Coroutine *self, PyThreadState *thread)
{
    Lane *lane = running_lane();
    if (!lane) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (coroutine_enter_task(self, thread, &lane) < 0 || !lane) {
        return PyErr_Occurred() ? -1 : 0;
    }
    self->lane = lane;
    self->parent = (Node *)Py_NewRef(lane->node);
    self->node = cached_node(lane->node, self->span);
    int rare = !self->node || (state.joining && (PyObject *)lane->node == state.root) || self->node->entry;
    if (rare && coroutine_find_node(self, lane) < 0) {
        return -1;
    }
    self->started_ns = now_ns();
    if (self->node) {
        Py_ssize_t slot = lane->base + self->node->slot;
        state.words[slot + 1] = self->started_ns;
        state.words[slot] = self->node->number;
        Py_SETREF(lane->node, (Node *)Py_NewRef(self->node));
    }
    return 0;
}

/* Make the coroutine's lane the running one for a step. -1 with an error. */
static inline int
coroutine_enter_lane(Coroutine *self)
{
    if (LIKELY(thread_epoch == state.lane_epoch && !self->outer)) {
        self->outer = thread_lane; /* the thread's reference is ours until it goes back */
        thread_lane = (Lane *)Py_NewRef((PyObject *)self->lane);
        return 0;
    }
    Py_XSETREF(self->outer, running_lane());
    if (!self->outer && PyErr_Occurred()) {
        return -1;
    }
    run_lane(self->lane);
    return 0;
}

/* Give the thread its lane back. */
static inline void
coroutine_leave_lane(Coroutine *self)
{
    if (LIKELY(thread_epoch == state.lane_epoch && self->outer)) {
        Lane *left = thread_lane;
        thread_lane = self->outer;
        self->outer = NULL;
        Py_DECREF(left);
        return;
    }
    run_lane(self->outer);
    Py_CLEAR(self->outer);
}

/* Begin a part of what is measured; the first one was begun with what was opened. */
static RARE void
coroutine_begin_part(Coroutine *self)
{
    PyObject *part = self->opened ? part_of(self->opened) : NULL;
    if (!part) {
        self->duties &= ~IS_MEASURED; /* it was settled when its response ended */
    }
    else if (Py_IS_TYPE(part, TransactionType)) {
        begin_own_part((Transaction *)part);
    }
    else {
        begin_part((Part *)part);
    }
    Py_XDECREF(part);
}

/* End it. E_KEEP. */
static RARE void
coroutine_end_part(Coroutine *self)
{
    SavedException saved;
    exception_save(&saved);
    PyObject *part = self->opened ? part_of(self->opened) : NULL;
    if (part && Py_IS_TYPE(part, TransactionType)) {
        end_own_part((Transaction *)part);
    }
    else if (part) {
        end_part((Part *)part);
    }
    Py_XDECREF(part);
    exception_restore(&saved);
}

/* Make the coroutine's lane the running one, and begin a part of what is measured. -1 with an error. */
static RARE int
coroutine_enter_measured(Coroutine *self)
{
    if (self->duties & OWNS_LANE && coroutine_enter_lane(self) < 0) {
        return -1;
    }
    coroutine_begin_part(self);
    return 0;
}

/* End it, and give the thread its lane back. E_KEEP. */
static RARE void
coroutine_leave_measured(Coroutine *self)
{
    coroutine_end_part(self);
    if (self->duties & OWNS_LANE && !self->ended) {
        coroutine_leave_lane(self);
    }
}
