/* The stand-in for a callable: like it in all but its calls. */
#pragma once

#include "base.h"
#include "asgi.h"
#include "calls.h"
#include "coroutines.h"
#include "generators.h"
#include "hooks.h"
#include "interned.h"
#include "names.h"
#include "stand_ins.h"
#include "state.h"
#include "types.h"

#ifdef Py_GIL_DISABLED
static uint64_t last_timed;

/* Say whether CPython 3.13 keeps a function for good once there are threads: what no other function has made. */
static int
is_kept(PyObject *function)
{
    if (PyFunction_Check(function)) {
        return !(((PyCodeObject *)PyFunction_GET_CODE(function))->co_flags & CO_NESTED);
    }
    return Py_IS_TYPE(function, &PyMethodDescr_Type) || (PyCFunction_Check(function) && PyCFunction_GET_SELF(function)
                                                          && PyModule_Check(PyCFunction_GET_SELF(function)));
}
#endif

static PyObject *
timed_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *function, *span, *name;
    Py_ssize_t position;
    PyObject *detail = Py_None, *target = Py_None;
    int sited = 0;
    unsigned short until_weighed = 0;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "a stand-in takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "OOOn|pOHO", &function, &span, &name, &position, &sited, &detail, &until_weighed, &target)) {
        return NULL;
    }
    Timed *self = (Timed *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    self->function = Py_NewRef(function);
    self->span = span == Py_None ? NULL : Py_NewRef(span);
    self->name = name == Py_None ? NULL : Py_NewRef(name);
    self->position = position;
    self->detail = detail == Py_None ? NULL : Py_NewRef(detail);
    self->sited = (char)sited;
    self->target = target != Py_None ? Py_NewRef(target) : self->span ? PyObject_GetAttr(self->span, name_target) : NULL;
    PyErr_Clear(); /* a span of the tests' own */
    self->is_fixed = self->span && !sited;
#ifdef Py_GIL_DISABLED
    self->number = __atomic_add_fetch(&last_timed, 1, __ATOMIC_RELAXED);
    make_immortal(self->span);
    if (is_kept(function)) {
        make_immortal((PyObject *)self); /* two threads would wait for each other to count its references */
    }
#endif
    self->until_weighed = until_weighed;
    self->events = until_weighed;
    self->vectorcall = PyType_IsSubtype(type, CoroutineFunctionType)   ? coroutine_function_call
                       : PyType_IsSubtype(type, GeneratorFunctionType) ? generator_function_call
                       : PyType_IsSubtype(type, CallbackSourceType)           ? callback_source_call
                       : PyType_IsSubtype(type, SelectiveType)         ? selective_call
                       : PyType_IsSubtype(type, ApplicationType)       ? application_call
                       : !self->is_fixed || !PyFunction_Check(function) ? timed_call
                       : is_counted()                                  ? timed_function_call_by_counter
                                                                       : timed_function_call_by_system;
    return (PyObject *)self;
}

static int
timed_traverse(Timed *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->function);
    Py_VISIT(self->span);
    Py_VISIT(self->name);
    Py_VISIT(self->detail);
    Py_VISIT(self->target);
    Py_VISIT(self->last_parent);
    Py_VISIT(self->last_span);
    Py_VISIT(self->last_node);
    for (Py_ssize_t i = 0; i < self->known_size; i++) {
        Py_VISIT(self->known[i].value);
    }
    return 0;
}

static int
timed_clear(Timed *self)
{
    Py_CLEAR(self->last_parent);
    Py_CLEAR(self->last_span);
    Py_CLEAR(self->last_node);
    forget_known(self);
    return 0;
}

static void
timed_dealloc(Timed *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    timed_clear(self);
    Py_CLEAR(self->entry_kind);
    Py_CLEAR(self->function);
    Py_CLEAR(self->span);
    Py_CLEAR(self->name);
    Py_CLEAR(self->detail);
    Py_CLEAR(self->target);
    type->tp_free(self);
    Py_DECREF(type);
}

/* `__wrapped__` is the function's own, as all attributes are: there are tools that go by whether there is one. */
static PyObject *
timed_getattr(Timed *self, PyObject *name)
{
    if (name == name_function || PyUnicode_Compare(name, name_function) == 0) {
        return Py_NewRef(self->function);
    }
    return stand_in_getattr((PyObject *)self, self->function, name);
}

static int
timed_setattr(Timed *self, PyObject *name, PyObject *value)
{
    return PyObject_SetAttr(self->function, name, value);
}

static PyObject *
timed_repr(Timed *self)
{
    return PyObject_Repr(self->function);
}

static Py_hash_t
timed_hash(Timed *self)
{
    return PyObject_Hash(self->function);
}

static PyObject *
timed_compare(PyObject *self, PyObject *other, int operation)
{
    if (PyObject_TypeCheck(other, TimedCallableType)) {
        other = ((Timed *)other)->function;
    }
    return PyObject_RichCompare(((Timed *)self)->function, other, operation);
}

static PyObject *
timed_get(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(owner))
{
    if (!instance || instance == Py_None) {
        return Py_NewRef(self);
    }
    return PyMethod_New(self, instance);
}

/* By reference, see wrappers/proxy.py. */
static PyObject *
timed_reduce(Timed *self, PyObject *protocol)
{
    if (PyFunction_Check(self->function) || PyCFunction_Check(self->function)) {
        PyObject *module = PyImport_ImportModule("hookmon.probe.wrappers.proxy");
        PyObject *answer = module ? PyObject_CallMethod(module, "reduce_function", "O", self->function) : NULL;
        Py_XDECREF(module);
        return answer;
    }
    return PyObject_CallMethod(self->function, "__reduce_ex__", "O", protocol);
}

static PyObject *
timed_reduce_plainly(Timed *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *two = PyLong_FromLong(2);
    PyObject *answer = two ? timed_reduce(self, two) : NULL;
    Py_XDECREF(two);
    return answer;
}

static PyObject *
return_self_method(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self);
}

static PyMethodDef timed_methods[] = {
    {"__reduce_ex__", (PyCFunction)timed_reduce, METH_O, NULL},
    {"__reduce__", (PyCFunction)timed_reduce_plainly, METH_NOARGS, NULL},
    {"__copy__", return_self_method, METH_NOARGS, NULL},
    {"__deepcopy__", return_self_method, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* For those who ask past our getattr, as pydoc does with object.__getattribute__. */
static PyObject *
timed_get_doc(Timed *self, void *Py_UNUSED(closure))
{
    return PyObject_GetAttrString(self->function, "__doc__");
}

static PyGetSetDef timed_getset[] = {
    {"__doc__", (getter)timed_get_doc, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef timed_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Timed, vectorcall), Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Timed, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef selective_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Timed, vectorcall), Py_READONLY, NULL},
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Timed, weakrefs), Py_READONLY, NULL},
    {"_self_instances", Py_T_OBJECT_EX, offsetof(Timed, name), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef coroutine_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Coroutine, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef generator_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Generator, weakrefs), Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
