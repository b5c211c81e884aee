/* Generators, of which only the body's time counts: as in wrappers/generators.py. */
#pragma once

#include "base.h"
#include "checks.h"
#include "clock.h"
#include "compat.h"
#include "control.h"
#include "counting.h"
#include "errors.h"
#include "finding.h"
#include "interned.h"
#include "lanes.h"
#include "membership.h"
#include "names.h"
#include "numbers.h"
#include "stand_ins.h"
#include "state.h"
#include "traces.h"
#include "transactions.h"
#include "types.h"

static int
generator_enter(Generator *self, Step *step)
{
    int failed = 0;
    step->parent = step->node = NULL;
    step->opened = NULL;
    step->lane = running_lane();
    if (LIKELY(step->lane)) {
        step->parent = (Node *)Py_NewRef(step->lane->node);
        if (state.joining && (PyObject *)step->parent == state.root) {
            step->opened = join_transaction(step->lane, self->span);
            failed = !step->opened && PyErr_Occurred();
        }
        if (!failed) {
            step->node = cached_node(step->lane->node, self->span);
            if (!step->node) {
                Node *above = (Node *)Py_NewRef(step->lane->node);
                step->node = find_node(above, self->span);
                Py_DECREF(above);
            }
        }
    }
    if (!LIKELY(step->node)) {
        if (step->opened) {
            close_opened(step->opened);
            step->opened = NULL;
        }
        if (PyErr_Occurred()) {
            Py_XDECREF(step->parent);
            Py_XDECREF(step->lane);
            return -1;
        }
    }
    self->started = self->stepping = 1;
    step->start_ns = now_ns();
    if (step->node) {
        Py_ssize_t slot = step->lane->base + step->node->slot;
        state.words[slot + 1] = step->start_ns;
        state.words[slot] = step->node->number;
        Py_SETREF(step->lane->node, (Node *)Py_NewRef(step->node));
    }
    return 0;
}

/* Begin a step of a wrapper's generator. Its first one decides whether it is recorded. -1 with an error. */
static inline int
generator_begin(Generator *self, Step *step)
{
    if (!self->started && is_span_off(self->span)) {
        self->stepping = 1; /* for good: nothing is done for its steps any more */
        return PyErr_Occurred() ? -1 : 0;
    }
    return generator_enter(self, step);
}

/* Count the call, once. E_KEEP. */
static void
generator_end(Generator *self, int interrupted)
{
    if (self->ended || !self->started) {
        return;
    }
    self->ended = 1;
    if (self->node) {
        uint64_t *words = state.words;
        Py_ssize_t total = self->node->total;
        ADD_TO(words[total + STEPS], self->steps);
        ADD_TO(words[total + ACTIVE], self->used_ns - self->waited_ns);
        if (interrupted) {
            ADD_TO(words[total + INTERRUPTED], 1);
        }
        int outcome = interrupted ? OUTCOME_INTERRUPTED : OUTCOME_RETURNED;
        if (!interrupted && PyErr_Occurred()) {
            outcome = count_exception(self->node);
        }
        count_call(self->node, self->used_ns);
        Lane *lane = present_lane_despite_exception();
        if (lane && lane->trace) {
            trace_add(lane->trace, self->node, now_ns() - self->used_ns, self->used_ns, outcome);
        }
    }
}

/* End a step. Says whether an error may be set now (E_SAY). */
static int
generator_leave(Generator *self, Step *step)
{
    int rare = step->opened != NULL;
    uint64_t duration_ns = since_ns(step->start_ns);
    self->used_ns += duration_ns;
    self->steps++;
    self->stepping = 0;
    if (step->node) {
        CHECK(is_sound_lane(step->lane) && is_sound_place(step->lane, step->node));
        if (step->lane->moves) {
            follow_move(step->lane, &step->node);
            follow_move(step->lane, &step->parent);
        }
        if (step->lane->node != step->node) {
            rare = 1;
            close_abandoned(step->lane, step->node);
        }
        Py_SETREF(step->lane->node, (Node *)Py_NewRef(step->parent));
        state.words[step->lane->base + step->node->slot] = 0;
        ADD_TO(state.words[step->node->total], duration_ns);
        if (self->node != step->node) {
            Py_XSETREF(self->node, (Node *)Py_NewRef(step->node));
        }
    }
    if (step->opened) {
        close_opened(step->opened);
    }
    Py_XDECREF(step->node);
    Py_XDECREF(step->parent);
    Py_XDECREF(step->lane);
    return rare;
}

static PySendResult
generator_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    Generator *self = (Generator *)object;
    Step step;
    *result = NULL;
    if (self->stepping) { /* a mistake of the program, which the generator answers */
        return PyIter_Send(self->inner, value, result);
    }
    if (generator_begin(self, &step) < 0) {
        return PYGEN_ERROR;
    }
    if (!self->started) {
        return PyIter_Send(self->inner, value, result);
    }
    PyThreadState *thread = lend_c_recursion();
    PySendResult outcome = PyIter_Send(self->inner, value, result);
    reclaim_c_recursion(thread);
    generator_leave(self, &step);
    if (outcome != PYGEN_NEXT) {
        generator_end(self, 0);
        if (*result && PyErr_Occurred()) {
            Py_CLEAR(*result);
            return PYGEN_ERROR;
        }
    }
    CHECK((outcome == PYGEN_ERROR) == !!PyErr_Occurred());
    return outcome;
}

static PyObject *
generator_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = generator_am_send(self, value, &result);
    return iteration_result(outcome, result);
}

static PyObject *
generator_next(PyObject *self)
{
    PyObject *result = NULL;
    PySendResult outcome = generator_am_send(self, Py_None, &result);
    return next_result(outcome, result);
}

static PyObject *
generator_throw(Generator *self, PyObject *args)
{
    PyObject *method = PyObject_GetAttr(self->inner, name_throw);
    if (!method) {
        return NULL;
    }
    if (self->stepping) {
        PyObject *answer = PyObject_CallObject(method, args);
        Py_DECREF(method);
        return answer;
    }
    Step step;
    if (generator_begin(self, &step) < 0) {
        Py_DECREF(method);
        return NULL;
    }
    if (!self->started) {
        PyObject *answer = PyObject_CallObject(method, args);
        Py_DECREF(method);
        return answer;
    }
    PyObject *result = PyObject_CallObject(method, args);
    Py_DECREF(method);
    generator_leave(self, &step);
    if (!result) {
        generator_end(self, 0);
    }
    return result;
}

static PyObject *
generator_close(Generator *self, PyObject *Py_UNUSED(ignored))
{
    if (!self->started || self->ended || self->stepping) { /* nothing of the body runs */
        return PyObject_CallMethodNoArgs(self->inner, name_close);
    }
    Step step;
    if (generator_enter(self, &step) < 0) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethodNoArgs(self->inner, name_close);
    generator_leave(self, &step);
    generator_end(self, result != NULL);
    return result;
}

static int
generator_traverse(Generator *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->span);
    Py_VISIT(self->node);
    return 0; /* and never the step of a record, which is not tracked */
}

static void
generator_finalize(Generator *self)
{
    SavedException saved;
    exception_save(&saved);
    generator_end(self, 1);
    PyErr_Clear();
    exception_restore(&saved);
}

static void
generator_dealloc(Generator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    if (!self->inner) { /* a record, which nobody else may come to have */
        generator_finalize(self);
    }
    else {
        PyObject_GC_Track(self);
        if (PyObject_CallFinalizerFromDealloc((PyObject *)self) < 0) {
            return;
        }
        PyObject_GC_UnTrack(self);
    }
    if (!self->inner && self->stepping) { /* its step has ended without an event */
        Py_XDECREF(self->step.lane);
        Py_XDECREF(self->step.parent);
        Py_XDECREF(self->step.node);
        Py_XDECREF(self->step.opened);
    }
    Py_CLEAR(self->inner);
    Py_CLEAR(self->span);
    Py_CLEAR(self->node);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
generator_getattr(Generator *self, PyObject *name)
{
    return stand_in_getattr((PyObject *)self, self->inner, name);
}

static int
generator_setattr(Generator *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(self->inner, name, value);
}

static PyObject *
generator_repr(Generator *self)
{
    return PyObject_Repr(self->inner);
}

static PyMethodDef generator_methods[] = {
    {"send", (PyCFunction)generator_send, METH_O, NULL},
    {"throw", (PyCFunction)generator_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)generator_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyObject *
generator_new(PyTypeObject *Py_UNUSED(type), PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *inner, *span;
    if (!PyArg_ParseTuple(args, "OO", &inner, &span)) {
        return NULL;
    }
    Generator *self = (Generator *)GeneratorType->tp_alloc(GeneratorType, 0);
    if (self) {
        self->inner = Py_NewRef(inner);
        self->span = Py_NewRef(span);
    }
    return (PyObject *)self;
}

static PyObject *
generator_function_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
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
    PyObject *timed = span ? PyObject_CallFunctionObjArgs(state.callbacks.timed_generator, made, span, NULL) : NULL;
    Py_XDECREF(span);
    Py_DECREF(made);
    return timed;
}
