/* Functions that hand out callbacks (patching/hooks.py), and methods that are others for some instances (patching/instances.py). */
#pragma once

#include "base.h"
#include "finding.h"
#include "freelist.h"
#include "interned.h"
#include "names.h"
#include "stand_ins.h"
#include "state.h"
#include "types.h"

static PyObject *
selective_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return PyObject_Vectorcall(((Timed *)callable)->function, args, nargsf, kwnames);
}

/* Bind to the stand-in of an instance, else to the function. `name` is {id: stand-in}; `known` has them by address, once found. */
static HOT PyObject *
selective_get(PyObject *object, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    Timed *self = (Timed *)object;
    if (!instance || instance == Py_None) {
        return Py_NewRef(self->function);
    }
#ifdef Py_GIL_DISABLED /* what is remembered may go */
    PyObject *id = PyLong_FromVoidPtr(instance), *found = NULL;
    int failed = !id || PyDict_GetItemRef(self->name, id, &found) < 0;
    Py_XDECREF(id);
    PyObject *bound = failed ? NULL : PyMethod_New(found ? found : self->function, instance);
    Py_XDECREF(found);
    return bound;
#else
    Py_hash_t address = (Py_hash_t)((uintptr_t)instance >> 4);
    PyObject *timed = known_value(self, address);
    if (!timed && self->known_used < PyDict_GET_SIZE(self->name)) {
        PyObject *id = PyLong_FromVoidPtr(instance);
        timed = id ? PyDict_GetItemWithError(self->name, id) : NULL;
        Py_XDECREF(id);
        if (timed) {
            remember_value(self, address, timed);
        }
        else if (PyErr_Occurred()) {
            return NULL;
        }
    }
    return PyMethod_New(timed ? timed : self->function, instance);
#endif
}

static PyObject *
selective_forget(Timed *self, PyObject *id)
{
    if (PyDict_DelItem(self->name, id) < 0) {
        PyErr_Clear(); /* it is not there */
    }
    forget_known(self);
    Py_RETURN_NONE;
}

static PyMethodDef selective_methods[] = {
    {"_self_forget", (PyCFunction)selective_forget, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* Return the stand-in of a callback, or the callback itself where it has none. Takes the reference; NULL with an error. */
static PyObject *
replace_callback(PyObject *copy, PyObject *const *args, Py_ssize_t count, PyObject *kwnames, PyObject *callback)
{
    PyObject *made = call_observer(copy, args, count, kwnames, callback);
    if (made == Py_None) {
        Py_DECREF(made);
        return callback;
    }
    Py_DECREF(callback);
    return made;
}

static inline PyObject *
replace_yielded(CallbackIterator *self, PyObject *callback)
{
    return replace_callback(self->copy, self->args, self->count, self->kwnames, callback);
}

static PySendResult
callback_iterator_am_send(PyObject *object, PyObject *value, PyObject **result)
{
    CallbackIterator *self = (CallbackIterator *)object;
    PySendResult outcome = PyIter_Send(self->inner, value, result);
    if (outcome == PYGEN_NEXT) {
        *result = replace_yielded(self, *result);
        return *result ? PYGEN_NEXT : PYGEN_ERROR;
    }
    return outcome;
}

static PyObject *
callback_iterator_send(PyObject *self, PyObject *value)
{
    PyObject *result = NULL;
    PySendResult outcome = callback_iterator_am_send(self, value, &result);
    return iteration_result(outcome, result);
}

static HOT PyObject *
callback_iterator_next(CallbackIterator *self)
{
    PyObject *callback = Py_TYPE(self->inner)->tp_iternext(self->inner);
    return callback ? replace_yielded(self, callback) : NULL;
}

static PyObject *
callback_iterator_throw(CallbackIterator *self, PyObject *args)
{
    PyObject *method = PyObject_GetAttr(self->inner, name_throw);
    PyObject *callback = method ? PyObject_CallObject(method, args) : NULL;
    Py_XDECREF(method);
    return callback ? replace_yielded(self, callback) : NULL;
}

static PyObject *
callback_iterator_close(CallbackIterator *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallMethodNoArgs(self->inner, name_close);
}

static inline Py_ssize_t
all_arguments(Py_ssize_t count, PyObject *kwnames)
{
    return count + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
}

static int
callback_iterator_traverse(CallbackIterator *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->inner);
    Py_VISIT(self->copy);
    for (Py_ssize_t i = 0; self->args && i < all_arguments(self->count, self->kwnames); i++) {
        Py_VISIT(self->args[i]);
    }
    Py_VISIT(self->kwnames);
    return 0;
}

static HOT void
callback_iterator_dealloc(CallbackIterator *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    Py_CLEAR(self->inner);
    Py_CLEAR(self->copy);
    for (Py_ssize_t i = 0; self->args && i < all_arguments(self->count, self->kwnames); i++) {
        Py_DECREF(self->args[i]);
    }
    if (self->args != self->few) {
        PyMem_Free(self->args);
    }
    self->args = NULL;
    Py_CLEAR(self->kwnames);
    freelist_push(&callback_iterator_freelist, (PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef callback_iterator_methods[] = {
    {"send", (PyCFunction)callback_iterator_send, METH_O, NULL},
    {"throw", (PyCFunction)callback_iterator_throw, METH_VARARGS, NULL},
    {"close", (PyCFunction)callback_iterator_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef callback_iterator_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(CallbackIterator, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static int
is_empty(PyObject *value)
{
    return (PyList_CheckExact(value) && !PyList_GET_SIZE(value)) || (PyTuple_CheckExact(value) && !PyTuple_GET_SIZE(value));
}

static HOT PyObject *
callback_source_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Timed *self = (Timed *)callable;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *result = call(self->function, args, nargsf, kwnames);
    if (!result || is_empty(result)) {
        return result;
    }
    if (!PyIter_Check(result)) {
        return replace_callback(self->name, args, count, kwnames, result);
    }
    Py_ssize_t all = all_arguments(count, kwnames);
    CallbackIterator *iterator = (CallbackIterator *)freelist_pop(&callback_iterator_freelist, CallbackIteratorType);
    PyObject **room = !iterator ? NULL : all <= FEW_ARGUMENTS ? iterator->few : PyMem_New(PyObject *, all);
    if (!room) {
        Py_DECREF(result);
        Py_XDECREF(iterator);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < all; i++) {
        room[i] = Py_NewRef(args[i]);
    }
    iterator->inner = result;
    iterator->copy = Py_NewRef(self->name);
    iterator->args = room;
    iterator->count = count;
    iterator->kwnames = Py_XNewRef(kwnames);
    return (PyObject *)iterator;
}
