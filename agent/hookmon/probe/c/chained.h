/* A method that stands for two: the first makes an object, the second is called on it. See the pack of sqlite3. */
#pragma once

#include "base.h"
#include "stand_ins.h"
#include "types.h"

#define MOST_CHAINED 8

static HOT PyObject *
chained_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Chained *self = (Chained *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    if (!count || count > MOST_CHAINED || kwnames) { /* neither method takes that: let the real one say so */
        return PyObject_Vectorcall(self->inner, args, nargsf, kwnames);
    }
    PyObject *first[] = {args[0], self->given};
    PyObject *made = PyObject_Vectorcall(self->make, first, 2, NULL);
    if (!made) {
        return NULL;
    }
    PyObject *changed[MOST_CHAINED];
    memcpy(changed, args, (size_t)count * sizeof *changed);
    changed[0] = made;
    PyObject *result = PyObject_Vectorcall(self->then, changed, (size_t)count, NULL);
    Py_DECREF(made);
    return result;
}

static PyObject *
chained_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *inner, *make, *given, *then;
    if (!PyArg_ParseTuple(args, "OOOO", &inner, &make, &given, &then)) {
        return NULL;
    }
    Chained *self = (Chained *)type->tp_alloc(type, 0);
    if (self) {
        self->vectorcall = chained_call;
        self->inner = Py_NewRef(inner);
        self->make = Py_NewRef(make);
        self->given = Py_NewRef(given);
        self->then = Py_NewRef(then);
    }
    return (PyObject *)self;
}

static int
chained_traverse(Chained *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->make);
    Py_VISIT(self->given);
    Py_VISIT(self->then);
    return 0;
}

static int
chained_clear(Chained *self)
{
    Py_CLEAR(self->given); /* a class, which has us in its dictionary */
    return 0;
}

static void
chained_dealloc(Chained *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    chained_clear(self);
    Py_CLEAR(self->inner);
    Py_CLEAR(self->make);
    Py_CLEAR(self->then);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
chained_getattr(Chained *self, PyObject *name)
{
    return stand_in_getattr((PyObject *)self, self->inner, name);
}

static PyObject *
chained_repr(Chained *self)
{
    return PyObject_Repr(self->inner);
}

static PyMemberDef chained_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Chained, vectorcall), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
