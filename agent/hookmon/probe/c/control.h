/* What the launcher tells: a page of the run folder that is mapped for reading. As in recording/control.py. */
#pragma once

#include "base.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

#include <sys/mman.h>

static void
forget_control(void)
{
    const uint64_t *page = state.control;
    state.control = no_control;
    if (page != no_control) {
        munmap((void *)page, PAGE_BYTES);
    }
}

static PyObject *
unmap_control(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    forget_control(); /* nobody reads it without the GIL */
    Py_RETURN_NONE;
}

static PyObject *
map_control(PyObject *Py_UNUSED(module), PyObject *descriptor)
{
    int number = (int)PyLong_AsLong(descriptor);
    if (PyErr_Occurred()) {
        return NULL;
    }
    const uint64_t *page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, number, 0);
    if (page == MAP_FAILED) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (page[CONTROL_MAGIC] == CONTROL_IS_OURS) {
        forget_control(); /* of a run before */
        state.control = page;
        state.plan_taken = 0;
    }
    else {
        munmap((void *)page, PAGE_BYTES);
    }
    Py_RETURN_NONE;
}

static PyObject *
control_page(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBytes_FromStringAndSize((const char *)state.control, PAGE_BYTES);
}

static PyObject *
switch_for_python(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(state.control[CONTROL_SWITCH]);
}

static PyObject *
plan_for_python(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(state.control[CONTROL_PLAN]);
}

static PyObject *
window_length(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(state.control[CONTROL_WINDOW_NS]);
}

/* Return the window in which a moment lies, 0 where examples are kept of the run as a whole. */
static inline uint64_t
window_of(uint64_t end_ns)
{
    uint64_t window_ns = state.control[CONTROL_WINDOW_NS];
    return window_ns && end_ns < state.control[CONTROL_UNTIL_NS] ? end_ns / window_ns : 0;
}

/* Say whether something is switched off: all that a call asks while nothing is. */
static inline uint64_t
switch_now(void)
{
    return state.control[CONTROL_SWITCH];
}

/* Have Python take what was added to the plan, once (E_ADD). */
static RARE void
take_new_plan(uint64_t number)
{
    state.plan_taken = number;
    PyObject *answer = PyObject_CallNoArgs(state.callbacks.take_new_plan);
    if (answer == Py_False) { /* not now */
        state.plan_taken = 0;
    }
    Py_XDECREF(answer);
}

/* Ask Python whether a target is off (E_ADD). */
static RARE int
ask_if_off(PyObject *target)
{
    PyObject *answer = PyObject_CallOneArg(state.callbacks.is_target_off, target);
    int is_off = answer == Py_True;
    Py_XDECREF(answer);
    return is_off;
}

/* Say whether what begins now is not recorded, where something is off (E_ADD). What times the calls of a target keeps the answer. */
static RARE int
find_if_off(Timed *self)
{
    uint64_t now = switch_now();
    if (now & SWITCH_PLAN && state.control[CONTROL_PLAN] != state.plan_taken) {
        Py_INCREF(self);
        take_new_plan(state.control[CONTROL_PLAN]);
        Py_DECREF((PyObject *)self);
        if (PyErr_Occurred()) {
            return 1;
        }
    }
    if (now & SWITCH_ALL_OFF) {
        return 1;
    }
    if (now != self->switched_at) {
        if (now & SWITCH_CHANGING || !self->target) {
            return 0;
        }
        Py_INCREF(self);
        int is_off = ask_if_off(self->target);
        if (PyErr_Occurred()) {
            is_off = 1;
        }
        else {
            self->is_off = (char)is_off;
            self->switched_at = now;
        }
        Py_DECREF((PyObject *)self);
        return is_off;
    }
    return self->is_off;
}

/* Say whether a call that begins now is not to be recorded. A load and a branch, while nothing is off (E_ADD; then the answer is yes). */
static inline __attribute__((always_inline)) int
is_off(Timed *self)
{
    return !LIKELY(!switch_now()) && find_if_off(self);
}

/* The same of a span, for what was made before it begins. */
static RARE int
find_if_span_is_off(PyObject *span)
{
    uint64_t now = switch_now();
    if (now & (SWITCH_ALL_OFF | SWITCH_CHANGING)) {
        return !(now & SWITCH_CHANGING);
    }
    PyObject *target = PyObject_GetAttr(span, name_target);
    if (!target) {
        PyErr_Clear();
        return 0;
    }
    int is_off = ask_if_off(target);
    Py_DECREF(target);
    return is_off || PyErr_Occurred();
}

static inline int
is_span_off(PyObject *span)
{
    return !LIKELY(!switch_now()) && find_if_span_is_off(span);
}
