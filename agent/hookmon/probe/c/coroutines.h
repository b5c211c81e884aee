/* Coroutines: each step is timed, as in wrappers/coroutines.py. */
#pragma once

#include "base.h"
#include "checks.h"
#include "clock.h"
#include "compat.h"
#include "control.h"
#include "coroutine_lanes.h"
#include "counting.h"
#include "errors.h"
#include "finding.h"
#include "freelist.h"
#include "interned.h"
#include "names.h"
#include "numbers.h"
#include "origins.h"
#include "response.h"
#include "stand_ins.h"
#include "state.h"
#include "traces.h"
#include "transactions.h"
#include "types.h"

/* End a step; return the time. */
static inline uint64_t
coroutine_leave(Coroutine *self, uint64_t step_ns)
{
    uint64_t left_ns = now_ns();
    self->active_ns += left_ns > step_ns ? left_ns - step_ns : 0;
    self->steps++;
    self->stepping = 0;
    if (self->duties == OWNS_LANE && !self->ended) {
        coroutine_leave_lane(self);
    }
    else if (self->duties & IS_MEASURED) {
        coroutine_leave_measured(self);
    }
    return left_ns;
}

/* Begin a step; -1 with an error that must reach the program. */
static inline __attribute__((always_inline)) int
coroutine_enter(Coroutine *self, uint64_t *step_ns)
{
    if (!self->lane) {
        if (!self->ended && is_span_off(self->span)) {
            self->ended = 1; /* it is not recorded */
            if (PyErr_Occurred()) {
                return -1;
            }
        }
        if (!self->ended && coroutine_open(self, PyThreadState_Get()) < 0) {
            if (self->duties & OWNS_LANE && self->outer) {
                coroutine_leave_lane(self);
            }
            return -1;
        }
        if (self->lane) {
            *step_ns = self->started_ns;
            return 0;
        }
    }
    else if (self->duties == OWNS_LANE ? coroutine_enter_lane(self) < 0 : self->duties && coroutine_enter_measured(self) < 0) {
        return -1;
    }
    self->stepping = 1;
    *step_ns = now_ns();
    return 0;
}

/* How a coroutine has ended: an error that is set says it, nobody will ever finish it, or it has returned. */
typedef enum { ASK_ERROR, INTERRUPTED_CALL, RETURNED_CALL } Ending;

/* Count the call, which ended then. E_SAY. */
static HOT int
coroutine_end(Coroutine *self, Ending ending, uint64_t ended_ns)
{
    int interrupted = ending == INTERRUPTED_CALL;
    Lane *lane = self->lane;
    Node *node = self->node;
    int rare = ending == ASK_ERROR;
    if (!lane) {
        return rare;
    }
    CHECK(is_sound_lane(lane) && (!node || is_sound_place(lane, node)));
    self->lane = NULL;
    self->ended = 1;
    uint64_t duration_ns = ended_ns > self->started_ns ? ended_ns - self->started_ns : 0;
    if (node) {
        if (lane->moves && node->depth <= lane->moved_depth) {
            follow_move(lane, &self->node);
            follow_move(lane, &self->parent);
            node = self->node;
        }
        if (lane->node != node) {
            rare = 1;
            close_abandoned(lane, node);
        }
        Py_SETREF(lane->node, (Node *)Py_NewRef(self->parent));
        state.words[lane->base + node->slot] = 0;
        int outcome = interrupted ? OUTCOME_INTERRUPTED : OUTCOME_RETURNED;
        uint64_t *words = state.words;
        ADD_TO(words[node->total], duration_ns);
        ADD_TO(words[node->total + ACTIVE], self->active_ns);
        ADD_TO(words[node->total + STEPS], self->steps);
        if (interrupted) {
            ADD_TO(words[node->total + INTERRUPTED], 1);
        }
        else if (ending == ASK_ERROR && PyErr_Occurred()) {
            outcome = count_exception(node);
        }
        rare |= count_call(node, duration_ns);
        if (lane->trace) {
            trace_add(lane->trace, node, self->started_ns, duration_ns, outcome);
        }
        if (self->role == APPLICATION && outcome == OUTCOME_RAISED && self->opened && Py_IS_TYPE(self->opened, TransactionType)) {
            mark_failed((Transaction *)self->opened);
        }
    }
    if (self->opened) {
        PyObject *opened = self->opened;
        self->opened = NULL;
        rare = 1;
        close_opened(opened);
    }
    if (self->duties & OWNS_LANE) {
        release_task_lane(lane);
    }
    Py_DECREF(lane);
    return rare;
}

/* The last part of a response has been sent. -1 with an error. */
static int
finish_open_response(void)
{
    Transaction *transaction = open_transaction();
    if (transaction) {
        finish_response(transaction);
        Py_DECREF(transaction);
    }
    return PyErr_Occurred() ? -1 : 0;
}

static HOT PySendResult
coroutine_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    Coroutine *self = (Coroutine *)object;
    *result = NULL;
    if (self->stepping || self->role == LAST_PART) { /* stepping: a mistake of the program, which the coroutine answers */
        PySendResult answer = PyIter_Send(self->inner, value, result);
        if (answer == PYGEN_RETURN && self->role == LAST_PART && finish_open_response() < 0) {
            Py_CLEAR(*result);
            return PYGEN_ERROR;
        }
        return answer;
    }
    uint64_t step_ns;
    if (coroutine_enter(self, &step_ns) < 0) {
        CHECK(PyErr_Occurred()); /* E_SET */
        return PYGEN_ERROR;
    }
    PyThreadState *thread = lend_c_recursion();
    PySendResult outcome = PyIter_Send(self->inner, value, result);
    reclaim_c_recursion(thread);
    uint64_t left_ns = coroutine_leave(self, step_ns);
    if (outcome != PYGEN_NEXT) {
        coroutine_end(self, ASK_ERROR, left_ns);
        if (*result && PyErr_Occurred()) {
            Py_CLEAR(*result);
            return PYGEN_ERROR;
        }
    }
    CHECK((outcome == PYGEN_ERROR) == !!PyErr_Occurred());
    return outcome;
}

static PyObject *
coroutine_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = coroutine_am_send(self, value, &result);
    return iteration_result(outcome, result);
}

static PyObject *
coroutine_next(PyObject *self)
{
    PyObject *result = NULL;
    PySendResult outcome = coroutine_am_send(self, Py_None, &result);
    return next_result(outcome, result);
}

static PyObject *
coroutine_throw(Coroutine *self, PyObject *args)
{
    PyObject *method = PyObject_GetAttr(self->inner, name_throw);
    if (!method) {
        return NULL;
    }
    if (self->stepping || self->role == LAST_PART) {
        PyObject *answer = PyObject_CallObject(method, args);
        Py_DECREF(method);
        return answer;
    }
    uint64_t step_ns;
    if (coroutine_enter(self, &step_ns) < 0) {
        Py_DECREF(method);
        return NULL;
    }
    PyObject *result = PyObject_CallObject(method, args);
    Py_DECREF(method);
    uint64_t left_ns = coroutine_leave(self, step_ns);
    if (!result) {
        coroutine_end(self, ASK_ERROR, left_ns);
    }
    return result;
}

static PyObject *
coroutine_close(Coroutine *self, PyObject *Py_UNUSED(ignored))
{
    int stepping = self->stepping;
    PyObject *result = PyObject_CallMethodNoArgs(self->inner, name_close);
    if (!stepping) {
        coroutine_end(self, INTERRUPTED_CALL, now_ns());
    }
    return result;
}

static int
coroutine_traverse(Coroutine *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->span);
    Py_VISIT(self->lane);
    Py_VISIT(self->outer);
    Py_VISIT(self->parent);
    Py_VISIT(self->node);
    Py_VISIT(self->opened);
    return 0;
}

static HOT int
coroutine_clear(Coroutine *self)
{
    Py_CLEAR(self->opened);
    Py_CLEAR(self->lane);
    Py_CLEAR(self->outer);
    Py_CLEAR(self->parent);
    Py_CLEAR(self->node);
    return 0;
}

/* Count what was begun and will never end: dropped with its loop. Runs before the garbage collector takes it apart. */
static void
coroutine_finalize(Coroutine *self)
{
    if (self->lane) {
        SavedException saved;
        exception_save(&saved);
        coroutine_end(self, INTERRUPTED_CALL, now_ns());
        PyErr_Clear();
        exception_restore(&saved);
    }
}

static HOT void
coroutine_dealloc(Coroutine *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    int was_finalized = self->lane != NULL || PyObject_GC_IsFinalized((PyObject *)self); /* which its memory would say of the next */
    if (self->lane && !self->inner) { /* a record of what has not ended, which nobody else may come to have */
        coroutine_finalize(self);
    }
    else if (self->lane) { /* it has not ended */
        PyObject_GC_Track(self);
        if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
            return;
        }
        PyObject_GC_UnTrack(self);
    }
    coroutine_clear(self);
    Py_CLEAR(self->origin);
    Py_CLEAR(self->inner);
    Py_CLEAR(self->span);
    if (was_finalized) {
        type->tp_free(self);
    }
    else {
        self->duties = self->stepping = self->ended = self->role = 0;
        self->started_ns = self->active_ns = self->steps = self->step_ns = 0;
        freelist_push(&coroutine_freelist, (PyObject *)self);
    }
    Py_DECREF(type);
}

static PyObject *
coroutine_getattr(Coroutine *self, PyObject *name)
{
    return stand_in_getattr((PyObject *)self, self->inner, name);
}

static int
coroutine_setattr(Coroutine *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(self->inner, name, value);
}

static PyObject *
coroutine_repr(Coroutine *self)
{
    return PyObject_Repr(self->inner);
}

static PyMethodDef coroutine_methods[] = {
    {"send", (PyCFunction)coroutine_send, METH_O, NULL},
    {"throw", (PyCFunction)coroutine_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)coroutine_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static HOT PyObject *
make_coroutine(PyObject *inner, PyObject *span)
{
    Coroutine *self = (Coroutine *)freelist_pop(&coroutine_freelist, CoroutineType);
    if (self) {
        self->inner = Py_NewRef(inner);
        self->span = Py_NewRef(span);
    }
    return (PyObject *)self;
}

static PyObject *
coroutine_new(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *inner, *span;
    return PyArg_ParseTuple(args, "OO", &inner, &span) ? make_coroutine(inner, span) : NULL;
}

/* Note where the first coroutine of a span was made. An error may be set. */
static void
note_maker_once(Timed *self, PyObject *span)
{
    if (span != self->last_span) {
        make_immortal(span);
        Py_XDECREF(PyObject_CallOneArg(state.callbacks.note_maker, span));
        Py_XSETREF(self->last_span, Py_NewRef(span));
    }
}

/* Return the kind of the transactions that a function's calls are, None where they are none; borrowed. */
static inline PyObject *
entry_kind_of(Timed *self, PyObject *span)
{
    if (!LIKELY(self->entry_kind)) {
        PyObject *target = PyObject_GetAttr(span, name_target);
        PyObject *entry = target ? PyObject_GetAttr(target, name_entry) : NULL;
        self->entry_kind = entry == Py_True ? PyObject_GetAttr(target, name_kind) : NULL;
        if (!self->entry_kind) {
            PyErr_Clear();
            self->entry_kind = Py_NewRef(Py_None);
        }
        Py_XDECREF(entry);
        Py_XDECREF(target);
    }
    return self->entry_kind;
}

static HOT PyObject *
coroutine_function_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    if (is_off(self)) {
        return call_unrecorded(self->function, args, nargsf, kwnames);
    }
    PyObject *made = call(self->function, args, nargsf, kwnames);
    if (!made) {
        return NULL;
    }
    PyObject *span = span_of(self, args, PyVectorcall_NARGS(nargsf), kwnames);
    PyObject *timed = NULL;
    if (span) {
        note_maker_once(self, span);
        timed = PyErr_Occurred() ? NULL : make_coroutine(made, span);
        if (timed && entry_kind_of(self, span) != Py_None) {
            ((Coroutine *)timed)->origin = find_origin(self->entry_kind, args, PyVectorcall_NARGS(nargsf), 1);
            PyErr_Clear();
        }
    }
    Py_XDECREF(span);
    Py_DECREF(made);
    return timed;
}
