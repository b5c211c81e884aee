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
    if (parent == self->last_parent && span == self->last_span && !(self->last_node->special & IS_RETIRED)) {
        Py_DECREF(span);
        return (Node *)Py_NewRef(self->last_node);
    }
#endif
    Py_INCREF(parent);
    Node *node = find_node(parent, span);
#ifndef Py_GIL_DISABLED
    if (node) {
        Node *parent_before = self->last_parent, *node_before = self->last_node;
        PyObject *span_before = self->last_span;
        self->last_parent = (Node *)Py_NewRef(parent); /* all before what goes may call us */
        self->last_span = Py_NewRef(span);
        self->last_node = (Node *)Py_NewRef(node);
        Py_XDECREF(parent_before);
        Py_XDECREF(span_before);
        Py_XDECREF(node_before);
    }
#endif
    Py_DECREF(parent); /* the lane owns it */
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

/* A call has returned, or raised: count it. What is unusual is done here, too. Takes the references to the two nodes and, from the
 * lane, another one to that of the call. Returns the result of the call, NULL with an error. */
static HOT __attribute__((noinline)) PyObject *
end_call(Lane *lane, Node *parent, Node *node, PyObject *result, uint64_t start_ns, uint64_t duration_ns)
{
    PyObject *moved = NULL; /* the span, where the node has become another one during the call */
    int outcome = OUTCOME_RETURNED;
    if ((int64_t)duration_ns < 0) { /* a correction has put the clock back by a little */
        duration_ns = 0;
    }
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
    state.words[lane->base + node->slot] = 0; /* not that of before the call: I2 */
    if (LIKELY(result)) {
        if (is_awaitable(result)) {
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
    }
    if (rare && result && PyErr_Occurred()) {
        Py_CLEAR(result);
    }
done:
    Py_XDECREF(moved);
    Py_DECREF(node);
    CHECK(!result == !!PyErr_Occurred()); /* E_SET */
    return result;
}

/* Call a function in whatever state we are, and time it: as `time_call`, which leaves to this all that it does not know. */
static HOT __attribute__((noinline)) PyObject *
time_any_call(Timed *self, PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
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
#ifdef Py_GIL_DISABLED /* the node cache is the thread's own */
    PyObject *known = cached_span(self, args, PyVectorcall_NARGS(nargsf));
    node = LIKELY(known) ? cached_node(parent, known) : NULL;
#else
    if (LIKELY(parent == self->last_parent && !(self->last_node->special & IS_RETIRED))) {
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
            Py_DECREF(node);
            goto done;
        }
    }
    if (node->skip) {
        if (node->skip < ONE_TIMED_OF) {
            result = call_untimed(function, lane, &node, args, nargsf, kwnames);
            Py_DECREF(node);
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
    result = end_call(lane, parent, node, result, start_ns, now_ns() - start_ns);
done:
    if (opened) {
        close_opened(opened);
        if (result && PyErr_Occurred()) {
            Py_CLEAR(result);
        }
    }
    Py_DECREF(lane);
    CHECK(!result == !!PyErr_Occurred()); /* E_SET */
    return result;
}

#ifndef Py_GIL_DISABLED
static HOT __attribute__((noinline)) void
trace_call(Lane *lane, Node *node, uint64_t start_ns, uint64_t duration_ns)
{
    trace_add(lane->trace, node, start_ns, duration_ns, OUTCOME_RETURNED);
}

static RARE PyObject *
look_after_call(Node *node, PyObject *result)
{
    look_at_cost(node);
    if (PyErr_Occurred()) {
        Py_CLEAR(result);
    }
    return result;
}

/* Call a function by way of its `way`, NULL for its own, and time it: this is what a call takes that is like the one before it. While
 * it lasts, the lane's reference to the parent is ours (I3), as are two to the node: one of them the lane's. The lane needs none: what
 * a thread has as its own it keeps as long as a call in it is open. */
static inline __attribute__((always_inline)) PyObject *
time_call(Timed *self, PyObject *function, vectorcallfunc way, PyObject *const *args, size_t nargsf, PyObject *kwnames, int by_counter)
{
    struct timespec begun, ended;
    Lane *lane = thread_lane;
    Node *node = self->last_node;
    if (!LIKELY(thread_epoch == state.lane_epoch && lane->node == self->last_parent && !node->is_special)) {
        return time_any_call(self, function, args, nargsf, kwnames);
    }
    CHECK(!PyErr_Occurred() && is_sound_lane(lane) && is_sound_place(lane, node));
    uint64_t start_ns = known_clock_ns(by_counter, &begun); /* first: what is known here and needed after it takes all registers */
    Node *parent = lane->node;
    hold_twice((PyObject *)node);
    lane->node = node;
    uint64_t *place = &lane->pairs[node->slot];
    __atomic_store_n(&place[1], start_ns, __ATOMIC_RELAXED); /* one by one: whoever reads the shard may read now */
    __atomic_store_n(&place[0], node->number, __ATOMIC_RELAXED);
    PyThreadState *thread = lend_own_c_recursion();
    PyObject *result = (way ? way : vectorcall_of(function))(function, args, nargsf, kwnames);
    reclaim_c_recursion(thread);
    uint64_t duration_ns = known_clock_ns(by_counter, &ended) - start_ns;
    if (!LIKELY(lane->node == node && result && !is_awaitable(result))) { /* if a node that is open has moved, the innermost has */
        return end_call(lane, parent, node, result, start_ns, duration_ns);
    }
    uint64_t bucket = plain_bucket(duration_ns), octave = bucket / SUB_BUCKETS;
    if (!LIKELY(node->used[octave % 2] == octave)) { /* another one, or none: the clock was put back by a little, or days have passed */
        return end_call(lane, parent, node, result, start_ns, duration_ns);
    }
    uint32_t first = (uint32_t)node->used_first[octave % 2];
    lane->node = parent;
    uint64_t *words = state.words;
    CHECK(is_sound_lane(lane) && is_sound_place(lane, node) && is_word(first + SUB_BUCKETS - 1));
    lane->pairs[node->slot] = 0; /* not `place`: I2 */
    words[node->total] += duration_ns;
    if (!LIKELY(!count_in_bucket(node, duration_ns, &words[first + bucket % SUB_BUCKETS]))) {
        result = look_after_call(node, result);
    }
    if (!LIKELY(!lane->trace)) {
        trace_call(lane, node, start_ns, duration_ns);
    }
    let_go_twice((PyObject *)node);
    CHECK(!result == !!PyErr_Occurred()); /* E_SET */
    return result;
}
#else
/* The same: a wrapper has no last node that all threads could use. */
static inline __attribute__((always_inline)) PyObject *
time_call(Timed *self, PyObject *function, vectorcallfunc Py_UNUSED(way), PyObject *const *args, size_t nargsf, PyObject *kwnames,
          int Py_UNUSED(by_counter))
{
    return time_any_call(self, function, args, nargsf, kwnames);
}
#endif

/* The call of anything. */
static HOT PyObject *
timed_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    return is_off(self) ? call_unrecorded(self->function, args, nargsf, kwnames)
                        : time_any_call(self, self->function, args, nargsf, kwnames);
}

/* The call of a function of Python while something is switched off, itself or another one. */
static inline __attribute__((always_inline)) PyObject *
call_while_any_is_off(Timed *self, PyObject *const *args, size_t nargsf, PyObject *kwnames, int by_counter)
{
    uint64_t now = switch_now();
    int is_known = now == self->switched_at && !(now & (SWITCH_ALL_OFF | SWITCH_PLAN));
    return (is_known ? self->is_off : find_if_off(self)) ? call_unrecorded(self->function, args, nargsf, kwnames)
                                                         : time_call(self, self->function, NULL, args, nargsf, kwnames, by_counter);
}

static __attribute__((noinline)) PyObject *
call_by_counter_while_any_is_off(Timed *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return call_while_any_is_off(self, args, nargsf, kwnames, 1);
}

static __attribute__((noinline)) PyObject *
call_by_system_while_any_is_off(Timed *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return call_while_any_is_off(self, args, nargsf, kwnames, 0);
}

/* The call of a function of Python whose name depends on nothing. */
static inline __attribute__((always_inline)) PyObject *
timed_function_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames, int by_counter)
{
    Timed *self = (Timed *)callable;
    PyObject *function = self->function;
    if (!LIKELY(!switch_now() && !is_ours(vectorcall_of(function)))) {
        return is_ours(vectorcall_of(function)) ? timed_call(callable, args, nargsf, kwnames)
               : by_counter                     ? call_by_counter_while_any_is_off(self, args, nargsf, kwnames)
                                                : call_by_system_while_any_is_off(self, args, nargsf, kwnames);
    }
    return time_call(self, function, NULL, args, nargsf, kwnames, by_counter);
}

static __attribute__((hot)) PyObject *
timed_function_call_by_counter(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return timed_function_call(callable, args, nargsf, kwnames, 1);
}

static __attribute__((hot)) PyObject *
timed_function_call_by_system(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return timed_function_call(callable, args, nargsf, kwnames, 0);
}
