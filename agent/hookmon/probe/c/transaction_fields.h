/* What Python sees of a transaction. */
#pragma once

#include "base.h"
#include "transactions.h"
#include "types.h"

static PyMemberDef transaction_members[] = {
    {"lane", Py_T_OBJECT_EX, offsetof(Transaction, lane), Py_READONLY, NULL},
    {"route", Py_T_OBJECT_EX, offsetof(Transaction, route), 0, NULL},
    {"is_routed", Py_T_BOOL, offsetof(Transaction, is_routed), 0, NULL},
    {"failed", Py_T_BOOL, offsetof(Transaction, failed), 0, NULL},
    {"member", Py_T_OBJECT_EX, offsetof(Transaction, member), Py_READONLY, NULL},
    {"epoch", Py_T_LONG, offsetof(Transaction, epoch), Py_READONLY, NULL},
    {"status", Py_T_LONG, offsetof(Transaction, status), 0, NULL},
    {"stands_for", Py_T_LONG, offsetof(Transaction, stands_for), 0, NULL},
    {"readings", Py_T_ULONGLONG, offsetof(Transaction, readings), Py_READONLY, NULL},
    {"computed_ns", Py_T_ULONGLONG, offsetof(Transaction, computed_ns), Py_READONLY, NULL},
    {"beside_ns", Py_T_ULONGLONG, offsetof(Transaction, beside_ns), Py_READONLY, NULL},
    {"ended", Py_T_BOOL, offsetof(Transaction, ended), 0, NULL},
    {"nested", Py_T_BOOL, offsetof(Transaction, nested), 0, NULL},
    {"counted_ns", Py_T_ULONGLONG, offsetof(Transaction, counted_ns), Py_READONLY, NULL},
    {"counted_as", Py_T_ULONGLONG, offsetof(Transaction, counted_as), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *
transaction_get_node(Transaction *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->node);
}

static int
transaction_set_node(Transaction *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !Py_IS_TYPE(value, NodeType)) {
        PyErr_SetString(PyExc_TypeError, "a transaction's node is a Node");
        return -1;
    }
    Py_XSETREF(self->node, (Node *)Py_NewRef(value));
    return 0;
}

static PyObject *
transaction_get_traces(Transaction *self, void *Py_UNUSED(closure))
{
    return Py_XNewRef(traces_of(self));
}

static int
transaction_set_traces(Transaction *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !PyList_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "a transaction's traces are a list");
        return -1;
    }
    Py_CLEAR(self->own);
    Py_XSETREF(self->traces, Py_NewRef(value));
    return 0;
}

static PyObject *
transaction_get_counted_in(Transaction *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->counted_in ? (PyObject *)self->counted_in : Py_None);
}

static int
transaction_set_counted_in(Transaction *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(self->counted_in, value && Py_IS_TYPE(value, NodeType) ? (Node *)Py_NewRef(value) : NULL);
    return 0;
}

static PyObject *
transaction_get_origin(Transaction *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->origin ? self->origin : Py_None);
}

static int
transaction_set_origin(Transaction *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(self->origin, value && value != Py_None ? Py_NewRef(value) : NULL);
    return 0;
}

static PyObject *
transaction_get_error(Transaction *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->error ? self->error : Py_None);
}

static PyGetSetDef transaction_getset[] = {
    {"origin", (getter)transaction_get_origin, (setter)transaction_set_origin, NULL, NULL},
    {"error", (getter)transaction_get_error, NULL, NULL, NULL},
    {"counted_in", (getter)transaction_get_counted_in, (setter)transaction_set_counted_in, NULL, NULL},
    {"node", (getter)transaction_get_node, (setter)transaction_set_node, NULL, NULL},
    {"traces", (getter)transaction_get_traces, (setter)transaction_set_traces, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
