/* Functions that tell of the open transaction: see marks.py. */
#pragma once

#include "base.h"
#include "attributes.h"
#include "clock.h"
#include "errors.h"
#include "finding.h"
#include "interned.h"
#include "lanes.h"
#include "names.h"
#include "numbers.h"
#include "state.h"
#include "transactions.h"
#include "types.h"

/* Call a function of Python with (args, kwargs, result). */
static PyObject *
call_mark(PyObject *mark, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result)
{
    PyObject *positional, *keywords;
    Charge begun = begin_charge();
    if (gather(args, count, kwnames, &positional, &keywords) < 0) {
        return NULL;
    }
    PyObject *answer = PyObject_CallFunctionObjArgs(mark, positional, keywords, result, NULL);
    Py_DECREF(positional);
    Py_DECREF(keywords);
    end_charge(begun, LONGEST_OWN_NS);
    return answer;
}

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

/* Give the open transaction its name; `told` is [name or None, status, node, node of that name]: the nodes of the last time. */
static HOT int
rename_transaction(Transaction *transaction, PyObject *told)
{
    PyObject *name = PyList_GET_ITEM(told, 0);
    Node *old = transaction->node;
    Node *new = (Node *)PyList_GET_ITEM(told, 3);
    if (name == Py_None || old == new) {
        return 0;
    }
    Lane *lane = transaction->lane;
    int is_plain = (PyObject *)old == PyList_GET_ITEM(told, 2) && new->number && lane->node == old && !lane->moves &&
                   lane == present_lane() && transaction->own && !transaction->own->count;
    if (!is_plain) { /* calls are open or over, which move along */
        Py_INCREF(old);
        PyObject *answer = PyObject_CallOneArg(state.callbacks.rename, name);
        if (answer && transaction->node != old) {
            PyList_SetItem(told, 2, Py_NewRef(old));
            PyList_SetItem(told, 3, Py_NewRef(transaction->node));
        }
        Py_XDECREF(answer);
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

/* Tell of the open transaction what is known by its values: `detail` is (read, fields, field of the body or None, kind of
 * transaction or None for any, whether it tells nothing but the route), and a list as above is remembered by the hash of what the
 * fields lead to and of what is known of the route. 0 where Python is to look, -1 with an error. */
static HOT int
apply_values(Timed *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *result)
{
    Transaction *transaction = open_transaction();
    if (!transaction) {
        return PyErr_Occurred() ? -1 : 1;
    }
    int answer = 0;
    PrefixCache prefix = {0, NULL, NULL};
    PyObject *kind = PyTuple_GET_ITEM(self->detail, 3);
    int is_route = PyTuple_GET_ITEM(self->detail, 4) == Py_True;
    int is_request = is_text(transaction->node->kind, text_request);
    if ((kind != Py_None && !is_text(transaction->node->kind, kind)) || (is_route && transaction->is_routed)) {
        Py_DECREF(transaction);
        return 1;
    }
    PyObject *body = PyTuple_GET_ITEM(self->detail, 2);
    PyObject *fields = PyTuple_GET_ITEM(self->detail, 1);
    if (body != Py_None) {
        PyObject *found = read_field(body, args, count, kwnames, result, &prefix);
        int is_plain = found && !PyGen_CheckExact(found);
        Py_XDECREF(found);
        if (!is_plain) {
            goto done;
        }
    }
    uint64_t key = mix(1, (uint64_t)hash_of_value(transaction->route));
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); i++) {
        PyObject *value = read_field(PyTuple_GET_ITEM(fields, i), args, count, kwnames, result, &prefix);
        int is_plain = value && (PyUnicode_CheckExact(value) || PyLong_CheckExact(value) || PyBool_Check(value));
        key = is_plain ? mix(key, (uint64_t)hash_of_value(value)) : 0;
        Py_XDECREF(value);
        if (!is_plain) {
            goto done;
        }
    }
    PyObject *told = known_span(self, (Py_hash_t)key);
    Py_XINCREF(told);
    if (!told) {
        told = call_mark(PyTuple_GET_ITEM(self->detail, 0), args, count, kwnames, result);
        if (!told || !PyList_CheckExact(told)) {
            answer = told ? 0 : -1;
            Py_XDECREF(told);
            goto done;
        }
        remember_span(self, (Py_hash_t)key, told);
    }
    int is_named = is_request && PyList_GET_ITEM(told, 0) != Py_None;
    if (is_named && transaction->is_routed) { /* by a request inside of it, or as a websocket */
        Py_DECREF(told);
        goto done;
    }
    long status = PyLong_AsLong(PyList_GET_ITEM(told, 1));
    if (status >= 0) {
        transaction->status = status;
    }
    transaction->is_routed |= is_named;
    Charge begun = begin_charge();
    answer = rename_transaction(transaction, told) < 0 ? -1 : 1;
    end_charge(begun, LONGEST_OF_MANY_NS);
    Py_DECREF(told);
done:
    Py_XDECREF(prefix.value);
    Py_DECREF(transaction);
    return answer;
}

static HOT PyObject *
marked_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    PyObject *result = call(self->function, args, nargsf, kwnames);
    int is_told = result && self->detail ? apply_values(self, args, PyVectorcall_NARGS(nargsf), kwnames, result) : 0;
    if (is_told < 0) {
        Py_CLEAR(result);
    }
    if (result && !is_told) {
        PyObject *answer = call_mark(self->name, args, PyVectorcall_NARGS(nargsf), kwnames, result);
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
marked_before_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    int is_told = self->detail ? apply_values(self, args, PyVectorcall_NARGS(nargsf), kwnames, Py_None) : 0;
    if (!is_told) {
        PyObject *answer = call_mark(self->name, args, PyVectorcall_NARGS(nargsf), kwnames, Py_None);
        is_told = answer ? 1 : -1;
        Py_XDECREF(answer);
    }
    if (is_told < 0) {
        return NULL;
    }
    return call(self->function, args, nargsf, kwnames);
}

static PyObject *
marked_coroutine_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    PyObject *made = call(self->function, args, nargsf, kwnames);
    PyObject *followed = made ? call_mark(self->name, args, PyVectorcall_NARGS(nargsf), kwnames, made) : NULL;
    Py_XDECREF(made);
    return followed;
}
