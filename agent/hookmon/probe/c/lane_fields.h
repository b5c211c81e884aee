/* What Python reads and writes of a lane. */
#pragma once

#include "base.h"
#include "lanes.h"
#include "state.h"
#include "types.h"

static PyObject *
lane_get_node(Lane *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->node ? (PyObject *)self->node : Py_None);
}

static int
lane_set_node(Lane *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || !Py_IS_TYPE(value, NodeType)) {
        PyErr_SetString(PyExc_TypeError, "a lane's node is a Node");
        return -1;
    }
    Py_XSETREF(self->node, (Node *)Py_NewRef(value));
    return 0;
}

static PyObject *
lane_get_base(Lane *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->base);
}

static int
lane_set_base(Lane *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_ssize_t base = value ? PyLong_AsSsize_t(value) : -1;
    if (base < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "a lane's base is an index");
        }
        return -1;
    }
    self->base = base;
    self->pairs = state.words + base;
    return 0;
}

static PyObject *
lane_get_trace(Lane *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->trace ? (PyObject *)self->trace : Py_None);
}

static int
lane_set_trace(Lane *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || (value != Py_None && !Py_IS_TYPE(value, TraceType))) {
        PyErr_SetString(PyExc_TypeError, "a lane's trace is a Trace or None");
        return -1;
    }
    Py_XSETREF(self->trace, value == Py_None ? NULL : (Trace *)Py_NewRef(value));
    return 0;
}

static PyObject *
lane_get_moved(Lane *self, void *Py_UNUSED(closure))
{
    if (!self->moves) {
        Py_RETURN_NONE;
    }
    PyObject *answer = PyDict_New();
    for (int i = 0; answer && i < self->moves; i++) {
        if (PyDict_SetItem(answer, (PyObject *)self->moved[i].from, (PyObject *)self->moved[i].to) < 0) {
            Py_CLEAR(answer);
        }
    }
    return answer;
}

static int
lane_set_moved(Lane *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (!value || (value != Py_None && !PyDict_Check(value))) {
        PyErr_SetString(PyExc_TypeError, "what moved is a dict or None");
        return -1;
    }
    forget_moves(self);
    PyObject *from, *to;
    Py_ssize_t at = 0;
    while (value != Py_None && PyDict_Next(value, &at, &from, &to)) {
        if (Py_IS_TYPE(from, NodeType) && Py_IS_TYPE(to, NodeType) && move_node(self, (Node *)from, (Node *)to) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
lane_forget_calls(Lane *self, PyObject *Py_UNUSED(ignored))
{
    forget_calls(self, 0);
    Py_RETURN_NONE;
}

static PyMethodDef lane_methods[] = {
    {"forget_calls", (PyCFunction)lane_forget_calls, METH_NOARGS, "forget_calls($self, /)\n--\n\nLet go of calls whose end nobody will tell."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lane_getset[] = {
    {"base", (getter)lane_get_base, (setter)lane_set_base, NULL, NULL},
    {"trace", (getter)lane_get_trace, (setter)lane_set_trace, NULL, NULL},
    {"moved", (getter)lane_get_moved, (setter)lane_set_moved, NULL, NULL},
    {"node", (getter)lane_get_node, (setter)lane_set_node, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef lane_members[] = {
    {"task", Py_T_OBJECT_EX, offsetof(Lane, task), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};
