/* The `traceparent` with which a request or a message comes, read off the arguments of an entry's call: as in
 * transactions/origins.py. Nothing of it is looked at here; nothing else of the headers is kept. */
#pragma once

#include "base.h"
#include "attributes.h"
#include "compat.h"
#include "errors.h"
#include "interned.h"
#include "spans.h"
#include "state.h"
#include "types.h"

enum { LONGEST_ORIGIN = 512, MOST_LOOKED_AT = 4 };

/* Return a header's value if it may be one, a new reference. */
static PyObject *
checked_origin(PyObject *value)
{
    Py_ssize_t length = !value                        ? -1
                        : PyUnicode_CheckExact(value) ? PyUnicode_GET_LENGTH(value)
                        : PyBytes_CheckExact(value)   ? PyBytes_GET_SIZE(value)
                                                      : -1;
    return length >= 0 && length <= LONGEST_ORIGIN ? Py_NewRef(value) : NULL;
}

/* Say whether a header's name is "traceparent", in any case. */
static inline int
is_traceparent(PyObject *name)
{
    const char *text = NULL;
    if (PyBytes_CheckExact(name) && PyBytes_GET_SIZE(name) == 11) {
        text = PyBytes_AS_STRING(name);
    }
    else if (PyUnicode_CheckExact(name) && PyUnicode_GET_LENGTH(name) == 11 && PyUnicode_IS_COMPACT_ASCII(name)) {
        text = (const char *)PyUnicode_1BYTE_DATA(name);
    }
    return text && !PyOS_strnicmp(text, "traceparent", 11);
}

/* Return the value of the one such header among pairs, a new reference; NULL where there is none, or there are several. */
static PyObject *
find_among_pairs(PyObject *headers)
{
    PyObject *found = NULL;
    Py_ssize_t count = PyList_CheckExact(headers) ? PyList_GET_SIZE(headers) : PyTuple_GET_SIZE(headers);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyList_CheckExact(headers) ? PyList_GET_ITEM(headers, i) : PyTuple_GET_ITEM(headers, i);
        int is_tuple = PyTuple_CheckExact(pair) && PyTuple_GET_SIZE(pair) == 2;
        if (!is_tuple && !(PyList_CheckExact(pair) && PyList_GET_SIZE(pair) == 2)) {
            continue;
        }
        if (is_traceparent(is_tuple ? PyTuple_GET_ITEM(pair, 0) : PyList_GET_ITEM(pair, 0))) {
            if (found) {
                return NULL;
            }
            found = is_tuple ? PyTuple_GET_ITEM(pair, 1) : PyList_GET_ITEM(pair, 1);
        }
    }
    return checked_origin(found);
}

static PyObject *
find_in_headers(PyObject *headers)
{
    if (!headers) {
        return NULL;
    }
    if (PyDict_CheckExact(headers)) {
        return checked_origin(PyDict_GetItemWithError(headers, name_traceparent));
    }
    return PyList_CheckExact(headers) || PyTuple_CheckExact(headers) ? find_among_pairs(headers) : NULL;
}

/* Read an attribute, also where C code makes it: the field of a named tuple or of a type in C. A new reference, NULL for nothing. */
static PyObject *
read_in_c(PyObject *value, PyObject *name)
{
    PyObject *on_class = look_up_on_type(Py_TYPE(value), name);
    if (!on_class || !(Py_IS_TYPE(on_class, &PyGetSetDescr_Type) || strstr(Py_TYPE(on_class)->tp_name, "_tuplegetter"))) {
        return read_attribute(value, name);
    }
    PyObject *found = PyObject_GenericGetAttr(value, name);
    PyErr_Clear();
    return found;
}

/* Return what an argument that is no dictionary has of headers: a message, or aiohttp's request. */
static PyObject *
find_on_object(PyObject *argument, int is_request)
{
    if (PyUnicode_CheckExact(argument) || PyLong_CheckExact(argument) || PyTuple_CheckExact(argument) || PyList_CheckExact(argument) ||
        argument == Py_None || PyFunction_Check(argument) || PyBytes_CheckExact(argument) || PyDict_CheckExact(argument)) {
        return NULL;
    }
    PyObject *message = is_request ? read_attribute(argument, name_message) : Py_NewRef(argument);
    PyObject *headers = message ? read_in_c(message, is_request ? name_raw_headers : name_headers) : NULL;
    PyObject *found = find_in_headers(headers);
    Py_XDECREF(headers);
    Py_XDECREF(message);
    return found;
}

/* Return the header that an entry's call comes with, a new reference; NULL where there is none. E_KEEP. */
static HOT PyObject *
find_origin(PyObject *kind, PyObject *const *args, Py_ssize_t count, int is_coroutine)
{
    int is_request = is_text(kind, text_request);
    PyObject *found = NULL;
    count = count < MOST_LOOKED_AT ? count : MOST_LOOKED_AT;
    for (Py_ssize_t i = 0; is_request && i < count; i++) {
        if (PyDict_CheckExact(args[i])) { /* PEP 3333's environ, or ASGI's scope */
            PyObject *value = PyDict_GetItemWithError(args[i], name_environ_traceparent);
            return value || !is_coroutine ? checked_origin(value) : find_in_headers(PyDict_GetItemWithError(args[i], name_headers));
        }
    }
    for (Py_ssize_t i = 0; !found && i < count; i++) {
        found = find_on_object(args[i], is_request);
    }
    return found;
}

/* Keep it with what an entry's call has opened. */
static HOT void
note_origin(PyObject *opened, PyObject *const *args, Py_ssize_t count)
{
    if (opened && Py_IS_TYPE(opened, TransactionType) && !PyErr_Occurred()) {
        Transaction *transaction = (Transaction *)opened;
        PyObject *found = find_origin(kind_of(transaction->node), args, count, 0);
        if (found) {
            Py_XSETREF(transaction->origin, found);
        }
        PyErr_Clear();
    }
}
