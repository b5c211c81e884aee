/* ASGI applications, whose `send` tells when a response has ended: as in wrappers/asgi.py. */
#pragma once

#include "base.h"
#include "control.h"
#include "coroutines.h"
#include "errors.h"
#include "freelist.h"
#include "interned.h"
#include "names.h"
#include "origins.h"
#include "state.h"
#include "transactions.h"
#include "types.h"

/* Return a timed coroutine around an awaitable, with its role in a response. Takes the reference; NULL with an error. */
static HOT PyObject *
wrap_awaitable(PyObject *made, PyObject *span, short role)
{
    if (!PyCoro_CheckExact(made) && !Py_IS_TYPE(made, CoroutineType)) {
        Py_SETREF(made, PyObject_CallOneArg(state.callbacks.wrap_awaitable, made));
    }
    Coroutine *self = made ? (Coroutine *)make_coroutine(made, span) : NULL;
    if (self) {
        self->role = role;
    }
    Py_XDECREF(made);
    return (PyObject *)self;
}

/* Return the item of a message or a scope, borrowed; NULL without an error when there is none. */
static PyObject *
item(PyObject *dict, PyObject *name)
{
    PyObject *found = PyDict_Check(dict) ? PyDict_GetItemWithError(dict, name) : NULL;
    if (!found) {
        PyErr_Clear();
    }
    return found;
}

/* Take the status out of a message; say whether the message is the last part of the response. */
static HOT int
read_message(PyObject *message)
{
    PyObject *type = item(message, name_type);
    if (is_text(type, text_body)) {
        PyObject *more = item(message, name_more_body);
        int is_last = !more || more == Py_False || (more != Py_True && PyObject_IsTrue(more) == 0);
        PyErr_Clear();
        return is_last;
    }
    if (is_text(type, text_start)) {
        PyObject *status = item(message, name_status);
        Transaction *transaction = status && PyLong_Check(status) ? open_transaction() : NULL;
        if (transaction && transaction->node->is_request) {
            transaction->status = PyLong_AsLong(status);
        }
        Py_XDECREF(transaction);
        PyErr_Clear();
        return 0;
    }
    return is_text(type, text_pathsend);
}

static HOT PyObject *
observed_send_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    int is_last = PyVectorcall_NARGS(nargsf) == 1 && !kwnames && read_message(args[0]);
    PyObject *made = PyObject_Vectorcall(((ObservedSend *)callable)->send, args, nargsf, kwnames);
    return made && is_last ? wrap_awaitable(made, Py_None, LAST_PART) : made;
}

static int
observed_send_traverse(ObservedSend *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->send);
    return 0;
}

static void
observed_send_dealloc(ObservedSend *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->send);
    freelist_push(&send_freelist, (PyObject *)self);
    Py_DECREF(type);
}

static PyMemberDef observed_send_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(ObservedSend, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Say whether a call of an application with this scope begins a request. */
static int
begins_request(PyObject *scope)
{
    PyObject *type = item(scope, name_type);
    if (!is_text(type, text_http) && !is_text(type, text_websocket)) {
        return 0;
    }
    Transaction *transaction = open_transaction();
    int begins = !transaction || !transaction->node->is_request;
    Py_XDECREF(transaction);
    return begins;
}

#define MOST_ARGUMENTS 8 /* of an application; the specification has three */

static HOT PyObject *
application_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    Py_ssize_t send = self->position + 2;
    if (is_off(self)) {
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->function, args, nargsf, kwnames);
    }
    if (kwnames || count <= send || count > MOST_ARGUMENTS || !begins_request(args[self->position])) {
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->function, args, nargsf, kwnames);
    }
    ObservedSend *observed = (ObservedSend *)freelist_pop(&send_freelist, ObservedSendType);
    if (!observed) {
        return NULL;
    }
    observed->vectorcall = observed_send_call;
    observed->send = Py_NewRef(args[send]);
    PyObject *changed[MOST_ARGUMENTS];
    memcpy(changed, args, (size_t)count * sizeof *changed);
    changed[send] = (PyObject *)observed;
    PyObject *made = PyObject_Vectorcall(self->function, changed, (size_t)count, NULL);
    Py_DECREF(observed);
    PyObject *span = made ? span_of(self, args, count, NULL) : NULL;
    PyObject *timed = NULL;
    if (span) {
        note_maker_once(self, span);
        timed = PyErr_Occurred() ? NULL : wrap_awaitable(Py_NewRef(made), span, APPLICATION);
        if (timed) {
            ((Coroutine *)timed)->origin = find_in_headers(item(args[self->position], name_headers));
        }
    }
    Py_XDECREF(span);
    Py_XDECREF(made);
    return timed;
}
