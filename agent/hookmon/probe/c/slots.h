/* The slot by which functions of Python are called, from CPython 3.12 on: see events.h. */
#pragma once

#include "base.h"
#include "calls.h"
#include "compat.h"
#include "control.h"
#include "coroutines.h"
#include "names.h"
#include "own_files.h"
#include "runs.h"
#include "state.h"
#include "taken_functions.h"
#include "types.h"
#include "watched_codes.h"
#include "weighing.h"

#define MOST_NESTED_SLOTS 64

#ifdef HAS_SLOTS
static PyObject *function_called(PyObject *, PyObject *const *, size_t, PyObject *);

/* Have a function called by way of us, or as it was before. What somebody else has put there stays. */
static void
set_slot(PyObject *function, vectorcallfunc from, vectorcallfunc to)
{
    if (vectorcall_of(function) == from) {
        set_vectorcall(function, to);
    }
}

/* Name a generator or coroutine where it is made, by the arguments. Takes the reference; NULL with an error. */
static PyObject *
announce_run(Timed *self, PyObject *code, PyObject *made, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)
{
    PyObject *span = span_of(self, args, count, kwnames);
    if (span) {
        note_maker_once(self, span);
        if (!put_run((char *)made + offset_of_key, code, span)) {
            PyErr_Clear();
        }
        Py_DECREF(span);
    }
    if (PyErr_Occurred()) {
        Py_CLEAR(made);
    }
    return made;
}

OWN_TO_THREAD int nested_slots;

/* A watched function has got other code, or is about to: have that watched in its place. -1 with an error. */
static __attribute__((noinline)) int
follow_code(PyObject *function, PyObject *code)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(state.callbacks.follow_code, function, code, NULL);
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}

/* An own function is called for the first time, or one of the same code was before. */
static RARE PyObject *
own_function_called(PyObject *function, PyObject *code, PyObject *begin, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_INCREF(code);
    Py_INCREF(begin);
    PyObject *answer = PyObject_CallOneArg(begin, code);
    Py_DECREF(begin);
    Watched *watched = answer ? watched_of(code) : NULL;
    if (answer && !watched) {
        watched = add_watched(code); /* it is not asked for again */
    }
    PyObject *result = NULL;
    if (watched) {
        if (!watched->slot) {
            set_slot(function, function_called, state.plain);
        }
        result = (watched->slot ? function_called : state.plain)(function, args, nargsf, kwnames);
    }
    Py_XDECREF(answer);
    Py_DECREF(code);
    return result;
}

/* A function is called whose code is not watched, or no more: it is timed itself, or the program has given it other code. */
static __attribute__((noinline)) PyObject *
taken_function_called(PyObject *function, PyObject *code, Watched *watched, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    if (!LIKELY(state.interpreter)) { /* it has ended: see interpreters.h */
        return plain_call(function, args, nargsf, kwnames);
    }
    Timed *timed = watched && watched->events ? NULL : timer_of_function(function); /* the events count its calls */
    PyObject *begin = watched || timed ? NULL : beginner_of(code);
    if (begin) {
        return own_function_called(function, code, begin, args, nargsf, kwnames);
    }
    if (timed && !(((PyCodeObject *)code)->co_flags & RUNS)) {
        if (is_off(timed)) {
            return PyErr_Occurred() ? NULL : state.plain(function, args, nargsf, kwnames);
        }
        Py_INCREF(timed);
        PyObject *result = time_any_call(timed, function, args, nargsf, kwnames);
        Py_DECREF(timed);
        return result;
    }
    if (!watched && !timer_of_function(function)) { /* written past the watcher: IPython's autoreload writes into the object */
        Py_INCREF(code);
        int failed = follow_code(function, code) < 0;
        int is_watched = watched_of(code) != NULL;
        Py_DECREF(code);
        if (failed) {
            return NULL;
        }
        if (is_watched) {
            return function_called(function, args, nargsf, kwnames);
        }
        set_slot(function, function_called, state.plain);
    }
    if (watched) {
        set_slot(function, function_called, state.plain);
    }
    return state.plain(function, args, nargsf, kwnames);
}

/* A function that we have taken is called. */
static __attribute__((hot)) PyObject *
function_called(PyObject *function, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    PyObject *code = code_of_function(function);
    Watched *watched = watched_of(code);
    Timed *timed = watched ? watched->slot : NULL;
    if (!LIKELY(timed)) {
        return taken_function_called(function, code, watched, args, nargsf, kwnames);
    }
    if (is_off(timed)) {
        return PyErr_Occurred() ? NULL : state.plain(function, args, nargsf, kwnames);
    }
    if (!LIKELY(nested_slots < MOST_NESTED_SLOTS)) { /* a recursion: events take no C stack, and leave Python's own limit alone */
        PyObject *answer = PyObject_CallOneArg(state.callbacks.prefer_events, code);
        int is_switched = answer == Py_True;
        Py_XDECREF(answer);
        if (!answer) {
            return NULL;
        }
        if (is_switched) {
            set_slot(function, function_called, state.plain);
            return state.plain(function, args, nargsf, kwnames);
        }
    }
    if (!LIKELY(!is_due(timed))) {
        int is_given_up = weigh(timed, code, 0);
        if (is_given_up) {
            return is_given_up < 0 ? NULL : taken_function_called(function, code, watched_of(code), args, nargsf, kwnames);
        }
        watched = watched_of(code); /* the table may have grown */
        timed = watched ? watched->slot : NULL;
        if (!timed) {
            return taken_function_called(function, code, watched, args, nargsf, kwnames);
        }
    }
    Py_INCREF(timed);
    PyObject *result;
    if (((PyCodeObject *)code)->co_flags & RUNS) {
        Py_INCREF(code);
        result = state.plain(function, args, nargsf, kwnames);
        if (result && timed->span && !timed->sited) { /* its name is known without: only the first has to say where it is made */
            note_maker_once(timed, timed->span);
            set_slot(function, function_called, state.plain);
            LOCK();
            Watched *now = watched_of(code);
            int is_its = now->slot == timed;
            if (is_its) {
                STORE(now->slot, NULL);
            }
            UNLOCK();
            if (is_its) {
                Py_DECREF(timed); /* the table's reference: we have one, too */
            }
            if (PyErr_Occurred()) {
                Py_CLEAR(result);
            }
        }
        else if (result && offset_of_key) {
            result = announce_run(timed, code, result, args, PyVectorcall_NARGS(nargsf), kwnames);
        }
        Py_DECREF(code);
    }
    else {
        nested_slots++;
        result = timed->is_fixed ? time_call(timed, function, state.plain, args, nargsf, kwnames, is_counted())
                                 : time_any_call(timed, function, args, nargsf, kwnames);
        nested_slots--;
    }
    Py_DECREF(timed);
    return result;
}

/* Functions that are made of watched code are ours from the beginning: before a decorator has them, in factories, as closures. */
static int
on_function(PyFunction_WatchEvent event, FunctionObject *function, PyObject *value)
{
    if (event == PyFunction_EVENT_DESTROY) {
        remove_taken((PyObject *)function);
    }
    else if (event == PyFunction_EVENT_CREATE || event == PyFunction_EVENT_MODIFY_CODE) {
        PyObject *code = code_of_function((PyObject *)function);
        Watched *watched = watched_of(code);
        if (event == PyFunction_EVENT_MODIFY_CODE) {
            int is_ours = watched && (watched->slot || watched->events);
            watched = watched_of(value);
            if (is_ours && !watched) {
                if (follow_code((PyObject *)function, value) < 0) {
                    return -1;
                }
                watched = watched_of(value);
            }
        }
        else if (!watched && beginner_of(code)) {
            forget_version(code);
            set_slot((PyObject *)function, state.plain, function_called);
        }
        if (watched && watched->slot) {
            set_slot((PyObject *)function, state.plain, function_called);
        }
    }
    return 0;
}

#define function_watcher (state.function_watcher)

/* Be told of functions that are made, and that die. -1 with an error. */
static int
watch_functions(void)
{
    if (!function_watcher) {
        function_watcher = PyFunction_AddWatcher(on_function) + 1;
    }
    return function_watcher ? 0 : -1;
}
#endif

/* watch_code(code, slot, events, /): each a TimedCallable or None. */
static PyObject *
watch_code(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *code, *slot, *events;
    if (!PyArg_ParseTuple(args, "O!OO", &PyCode_Type, &code, &slot, &events)) {
        return NULL;
    }
    if ((slot != Py_None && !PyObject_TypeCheck(slot, TimedCallableType)) ||
        (events != Py_None && !PyObject_TypeCheck(events, TimedCallableType))) {
        PyErr_SetString(PyExc_TypeError, "code is timed by a TimedCallable");
        return NULL;
    }
#ifdef HAS_SLOTS
    if ((slot != Py_None || events != Py_None) && watch_functions() < 0) {
        return NULL;
    }
    if (slot != Py_None) {
        forget_version(code);
    }
#else
    if (slot != Py_None) {
        PyErr_SetString(PyExc_ValueError, "functions have no slot that serves before CPython 3.12");
        return NULL;
    }
#endif
    if (set_watched(code, slot == Py_None ? NULL : slot, events == Py_None ? NULL : events) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* watch_file(file, begin, /): have `begin` called with the code of each function of a file, at its first call. */
static PyObject *
watch_file(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *file, *begin;
    if (!PyArg_ParseTuple(args, "UO", &file, &begin)) {
        return NULL;
    }
#ifdef HAS_SLOTS
    if (watch_functions() < 0 || (!own_files && !(own_files = PyDict_New())) || PyDict_SetItem(own_files, file, begin) < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
#else
    Py_RETURN_FALSE;
#endif
}

/* Return (slot, events) of a code object: what times it, or None. */
static PyObject *
watched_by(PyObject *Py_UNUSED(module), PyObject *code)
{
    Watched *watched = watched_of(code);
    PyObject *slot = watched && watched->slot ? (PyObject *)watched->slot : Py_None;
    PyObject *events = watched && watched->events ? (PyObject *)watched->events : Py_None;
    return Py_BuildValue("OO", slot, events);
}

/* Have a function that is there already called by way of us, or no more. Returns whether its slot is as was asked for. */
static PyObject *
take_function(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *function;
    int is_taken;
    if (!PyArg_ParseTuple(args, "O!p", &PyFunction_Type, &function, &is_taken)) {
        return NULL;
    }
#ifdef HAS_SLOTS
    vectorcallfunc wanted = is_taken ? function_called : state.plain;
    set_slot(function, is_taken ? state.plain : function_called, wanted);
    return PyBool_FromLong(vectorcall_of(function) == wanted);
#else
    (void)is_taken;
    Py_RETURN_FALSE;
#endif
}

/* Time one function, and not others with the same code. Returns whether its slot is free for that. */
static PyObject *
time_function(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *function, *timed;
    if (!PyArg_ParseTuple(args, "O!O!", &PyFunction_Type, &function, TimedCallableType, &timed)) {
        return NULL;
    }
#ifdef HAS_SLOTS
    if (timer_of_function(function) || vectorcall_of(function) != state.plain) {
        Py_RETURN_FALSE;
    }
    if (watch_functions() < 0 || add_taken(function, (Timed *)timed) < 0) {
        return NULL;
    }
    set_slot(function, state.plain, function_called);
    Py_RETURN_TRUE;
#else
    Py_RETURN_FALSE;
#endif
}

/* Return the span under which `time_function` counts a function, or None. */
static PyObject *
span_of_function(PyObject *Py_UNUSED(module), PyObject *function)
{
    Timed *timed = timer_of_function(function);
    return Py_NewRef(timed && timed->span ? timed->span : Py_None);
}

/* Be told no more of functions that are made, and time none of those that were timed one by one. */
static PyObject *
forget_functions(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#ifdef HAS_SLOTS
    LOCK();
    TakenFunctions taken = taken_functions;
    taken_functions = (TakenFunctions){NULL, 0, 0};
    UNLOCK();
    for (size_t i = 0; i < taken.size; i++) {
        if (taken.entries[i].function) {
            set_slot(taken.entries[i].function, function_called, state.plain);
            Py_DECREF((PyObject *)taken.entries[i].timed);
        }
    }
    PyMem_Free(taken.entries);
    Py_CLEAR(own_files);
    if (function_watcher) {
        if (PyFunction_ClearWatcher(function_watcher - 1) < 0) {
            return NULL;
        }
        function_watcher = 0;
    }
#endif
    Py_RETURN_NONE;
}

/* Return the key of the running generator, for `measure_key`. */
static PyObject *
key_for_python(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromVoidPtr(run_key());
}

/* Learn where a generator has its key, from one whose key was read while it ran. Returns whether that is within it. */
static PyObject *
measure_key(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *generator, *key;
    if (!PyArg_ParseTuple(args, "O!O!", &PyGen_Type, &generator, &PyLong_Type, &key)) {
        return NULL;
    }
    char *address = PyLong_AsVoidPtr(key);
    Py_ssize_t offset = address - (char *)generator;
    if (PyErr_Occurred()) {
        return NULL;
    }
    offset_of_key = offset > 0 && offset < Py_TYPE(generator)->tp_basicsize ? offset : 0;
    return PyBool_FromLong(offset_of_key != 0);
}
