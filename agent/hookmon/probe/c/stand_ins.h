/* What all stand-ins do alike: they answer as what they stand for does. */
#pragma once

#include "base.h"
#include "checks.h"
#include "compat.h"

/* Turn the end of a coroutine into what iterators answer. */
static PyObject *
iteration_result(PySendResult outcome, PyObject *result)
{
    if (outcome == PYGEN_RETURN) {
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
        Py_DECREF(result);
        if (stop) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
        return NULL;
    }
    return outcome == PYGEN_NEXT ? result : NULL;
}

/* The same of `__next__`, for which None is a plain end, without an exception: a third of the price, and from 3.12 on what the
 * interpreter's `await` asks. */
static PyObject *
next_result(PySendResult outcome, PyObject *result)
{
    if (outcome == PYGEN_RETURN && result == Py_None) {
        Py_DECREF(result);
        return NULL;
    }
    return iteration_result(outcome, result);
}

static PyObject *
return_self(PyObject *self)
{
    return Py_NewRef(self);
}

/* What a stand-in does not do itself, the inner object answers. */
static PyObject *
stand_in_getattr(PyObject *self, PyObject *inner, PyObject *name)
{
    CHECK(inner); /* I5 */
    PyTypeObject *type = Py_TYPE(self);
    PyObject *own = look_up_on_type(type, name);
    /* Methods of ours, and what calls our slots by name: `__call__`, `__get__`, `__next__`, `__await__` … */
    if (own && (Py_IS_TYPE(own, &PyMethodDescr_Type) ||
                (Py_IS_TYPE(own, &PyWrapperDescr_Type) && PyDescr_TYPE(own) != &PyBaseObject_Type))) {
        return PyObject_GenericGetAttr(self, name);
    }
    return PyObject_GetAttr(inner, name);
}
