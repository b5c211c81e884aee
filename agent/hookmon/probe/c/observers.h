/* Observed functions: what the values of a call say of the open transaction is remembered by their hash. See wrappers/observers.py. */
#pragma once

#include "base.h"
#include "attributes.h"
#include "callables.h"
#include "clock.h"
#include "errors.h"
#include "finding.h"
#include "interned.h"
#include "lanes.h"
#include "names.h"
#include "readings.h"
#include "state.h"
#include "transactions.h"
#include "types.h"

/* Return where the arguments have a keyword, `count` or more; the number of all arguments when they do not. */
static Py_ssize_t
keyword_position(PyObject *keyword, Py_ssize_t count, PyObject *kwnames)
{
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        if (is_text(PyTuple_GET_ITEM(kwnames, i), keyword)) {
            return count + i;
        }
    }
    return count + named;
}

/* What the last field led to by its first name: the next one often begins in the same way. */
typedef struct {
    Py_ssize_t position;
    PyObject *name;
    PyObject *value;
} PrefixCache;

/* Return what a field leads to, (position or keyword, or -1 for the result, (name, …)), a new reference; NULL where Python is to
 * look. */
static HOT PyObject *
read_field(PyObject *field, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result, PrefixCache *prefix)
{
    PyObject *place = PyTuple_GET_ITEM(field, 0);
    int is_keyword = PyUnicode_CheckExact(place);
    Py_ssize_t position = is_keyword ? keyword_position(place, count, kwnames) : PyLong_AsSsize_t(place);
    if (position >= count + (is_keyword && kwnames ? PyTuple_GET_SIZE(kwnames) : 0)) {
        return NULL;
    }
    PyObject *value = Py_NewRef(position < 0 ? result : args[position]);
    PyObject *names = PyTuple_GET_ITEM(field, 1);
    Py_ssize_t length = PyTuple_GET_SIZE(names);
    if (length > 1) {
        PyObject *first = PyTuple_GET_ITEM(names, 0);
        int is_known = prefix->value && prefix->position == position && PyUnicode_CheckExact(first) && is_text(prefix->name, first);
        if (is_known) {
            Py_SETREF(value, Py_NewRef(prefix->value));
        }
        else {
            Py_SETREF(value, read_attribute(value, first));
            prefix->position = position;
            prefix->name = first;
            Py_XSETREF(prefix->value, Py_XNewRef(value));
        }
    }
    for (Py_ssize_t i = length > 1; value && i < length; i++) {
        Py_SETREF(value, read_attribute(value, PyTuple_GET_ITEM(names, i)));
    }
    return value;
}

/* Give the open transaction the name that a reading has. -1 with an error. */
static HOT int
rename_transaction(Observed *self, Transaction *transaction, Reading *reading)
{
    Node *old = transaction->node;
    Node *new = reading->to;
    if (reading->name == Py_None || old == new) {
        return 0;
    }
    Lane *lane = transaction->lane;
    int is_plain = old == reading->from && new->number && lane->node == old && !lane->moves && lane == present_lane() &&
                   transaction->own && !transaction->own->count;
    if (!is_plain) { /* calls are open or over, which move along */
        Py_hash_t hash = reading->hash;
        PyObject *name = Py_NewRef(reading->name);
        Py_INCREF(old);
        PyObject *answer = PyObject_CallOneArg(state.callbacks.rename, name);
        Reading *known = answer && transaction->node != old ? find_reading(self, hash) : NULL;
        if (known) {
            Node *from = known->from, *to = known->to;
            known->from = (Node *)Py_NewRef(old);
            known->to = (Node *)Py_NewRef(transaction->node);
            Py_XDECREF((PyObject *)from);
            Py_XDECREF((PyObject *)to);
        }
        Py_XDECREF(answer);
        Py_DECREF(name);
        Py_DECREF(old);
        return answer ? 0 : -1;
    }
    if (move_node(lane, old, new) < 0) {
        PyErr_Clear();
        return 0;
    }
    state.words[lane->base + new->slot] = new->number;
    Py_INCREF(new);
    Py_SETREF(lane->node, (Node *)Py_NewRef(new));
    Py_SETREF(transaction->node, new);
    return 0;
}

/* Return the hash of what the fields lead to and of what is known of the route, 0 where Python is to look. */
static inline Py_hash_t
hash_of_fields(Observed *self, Transaction *transaction, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result)
{
    PrefixCache prefix = {0, NULL, NULL};
    uint64_t key = mix(1, (uint64_t)hash_of_value(transaction->route));
    if (self->body) {
        PyObject *found = read_field(self->body, args, count, kwnames, result, &prefix);
        key = found && !PyGen_CheckExact(found) ? key : 0;
        Py_XDECREF(found);
    }
    for (Py_ssize_t i = 0; key && i < PyTuple_GET_SIZE(self->fields); i++) {
        PyObject *value = read_field(PyTuple_GET_ITEM(self->fields, i), args, count, kwnames, result, &prefix);
        int is_plain = value && (PyUnicode_CheckExact(value) || PyLong_CheckExact(value) || PyBool_Check(value));
        key = is_plain ? mix(key, (uint64_t)hash_of_value(value)) : 0;
        Py_XDECREF(value);
    }
    Py_XDECREF(prefix.value);
    return (Py_hash_t)key;
}

/* Tell the open transaction what the values of a call say of it. 0 where Python is to look, -1 with an error. */
static HOT int
apply_values(Observed *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result)
{
    Transaction *transaction = open_transaction();
    if (!transaction) {
        return PyErr_Occurred() ? -1 : 1;
    }
    if ((self->kind && !is_text(kind_of(transaction->node), self->kind)) || (self->is_route && transaction->is_routed)) {
        Py_DECREF(transaction);
        return 1;
    }
    int answer = 0;
    int is_request = transaction->node->is_request;
    Py_hash_t hash = hash_of_fields(self, transaction, args, count, kwnames, result);
    if (!hash) {
        Py_DECREF(transaction);
        return 0;
    }
    PyObject *values = NULL;
    Reading fresh;
    Reading *reading = find_reading(self, hash);
    if (!reading) {
        values = call_observer(self->read, args, count, kwnames, result);
        if (!values || !PyTuple_CheckExact(values) || PyTuple_GET_SIZE(values) != 2) {
            answer = values ? 0 : -1;
            goto done;
        }
        fresh = (Reading){hash, PyTuple_GET_ITEM(values, 0), PyLong_AsLong(PyTuple_GET_ITEM(values, 1)), NULL, NULL};
        remember_reading(self, hash, fresh.name, fresh.status);
        reading = find_reading(self, hash);
        reading = reading ? reading : &fresh;
    }
    int is_named = is_request && reading->name != Py_None;
    if (is_named && transaction->is_routed) { /* by a request inside of it, or as a websocket */
        goto done;
    }
    if (reading->status >= 0) {
        transaction->status = reading->status;
    }
    transaction->is_routed |= is_named;
    Charge begun = begin_charge();
    answer = rename_transaction(self, transaction, reading) < 0 ? -1 : 1;
    end_charge(begun, LONGEST_OF_MANY_NS);
done:
    Py_XDECREF(values);
    Py_DECREF(transaction);
    return answer;
}

static HOT PyObject *
observed_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Observed *self = (Observed *)callable;
    PyObject *result = call(self->timed.function, args, nargsf, kwnames);
    int is_told = result && self->read ? apply_values(self, args, PyVectorcall_NARGS(nargsf), kwnames, result) : 0;
    if (is_told < 0) {
        Py_CLEAR(result);
    }
    if (result && !is_told) {
        PyObject *answer = call_observer(self->timed.name, args, PyVectorcall_NARGS(nargsf), kwnames, result);
        if (answer != Py_None) { /* a body that stands in for the result; or an error */
            Py_SETREF(result, answer);
        }
        else {
            Py_DECREF(answer);
        }
    }
    return result;
}

static HOT PyObject *
observed_before_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Observed *self = (Observed *)callable;
    int is_told = self->read ? apply_values(self, args, PyVectorcall_NARGS(nargsf), kwnames, Py_None) : 0;
    if (!is_told) {
        PyObject *answer = call_observer(self->timed.name, args, PyVectorcall_NARGS(nargsf), kwnames, Py_None);
        is_told = answer ? 1 : -1;
        Py_XDECREF(answer);
    }
    if (is_told < 0) {
        return NULL;
    }
    return call(self->timed.function, args, nargsf, kwnames);
}

static PyObject *
observed_coroutine_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Observed *self = (Observed *)callable;
    PyObject *made = call(self->timed.function, args, nargsf, kwnames);
    PyObject *followed = made ? call_observer(self->timed.name, args, PyVectorcall_NARGS(nargsf), kwnames, made) : NULL;
    Py_XDECREF(made);
    return followed;
}

/* (function, None, name, -1, False, (read, fields, body or None, kind or None, whether it is a route)); the last may be left out. */
static PyObject *
observed_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Observed *self = (Observed *)timed_new(type, args, kwargs);
    if (!self) {
        return NULL;
    }
    self->timed.vectorcall = PyType_IsSubtype(type, ObservedBeforeType)      ? observed_before_call
                             : PyType_IsSubtype(type, ObservedCoroutineType) ? observed_coroutine_call
                                                                           : observed_call;
    PyObject *detail = self->timed.detail;
    self->timed.detail = NULL;
    PyObject *read, *fields, *body, *kind;
    if (detail && PyArg_ParseTuple(detail, "OO!OOp", &read, &PyTuple_Type, &fields, &body, &kind, &self->is_route)) {
#ifndef Py_GIL_DISABLED /* where Python looks: what is remembered would be read while it grows */
        self->read = Py_NewRef(read);
#endif
        self->fields = Py_NewRef(fields);
        self->body = body == Py_None ? NULL : Py_NewRef(body);
        self->kind = kind == Py_None ? NULL : Py_NewRef(kind);
    }
    else if (detail) {
        Py_CLEAR(self);
    }
    Py_XDECREF(detail);
    return (PyObject *)self;
}

static int
observed_traverse(Observed *self, visitproc visit, void *arg)
{
    Py_VISIT(self->read);
    Py_VISIT(self->fields);
    for (int32_t i = 0; i < self->readings_size; i++) {
        Py_VISIT(self->readings[i].from);
        Py_VISIT(self->readings[i].to);
    }
    return timed_traverse(&self->timed, visit, arg);
}

static int
observed_clear(Observed *self)
{
    forget_readings(self);
    return timed_clear(&self->timed);
}

static void
observed_dealloc(Observed *self)
{
    PyObject_GC_UnTrack(self);
    forget_readings(self);
    Py_CLEAR(self->read);
    Py_CLEAR(self->fields);
    Py_CLEAR(self->body);
    Py_CLEAR(self->kind);
    timed_dealloc(&self->timed);
}
