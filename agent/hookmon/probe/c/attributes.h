/* Attributes of an instance, read without running code of the program: as in base/introspect.py. */
#pragma once

#include "base.h"
#include "compat.h"
#include "interned.h"
#include "state.h"

#define reads_values (state.reads_values)

/* Find out about a type and a name; NULL when its class has something other than None by that name. */
static HOT OwnAttribute *
find_own_attribute(PyTypeObject *type, PyObject *name)
{
#ifdef Py_GIL_DISABLED
    if (make_part() < 0) {
        return NULL;
    }
#endif
    OwnAttribute *own = per_thread.own_attributes + ((uintptr_t)type >> 4 ^ (uintptr_t)name >> 4) % MOST_OWN_ATTRIBUTES;
    if (own->type == type && own->name == name && own->version == type_version(type) && own->version) {
        return own;
    }
    PyObject *on_class = look_up_on_type(type, name);
    if (on_class && on_class != Py_None) {
        return NULL;
    }
    own->type = type;
    own->name = name;
    own->version = type_version(type); /* 0: the type has none, and is looked at each time */
#ifdef HAS_VALUES
    own->keys = NULL;
    own->position = -1;
#endif
    return own;
}

/* Return what an instance has of its own by a name, a new reference; NULL without an error where there is nothing. */
static HOT PyObject *
read_own_attribute(PyObject *instance, PyObject *name, OwnAttribute *own)
{
#ifdef HAS_VALUES
    PyTypeObject *type = Py_TYPE(instance);
    if (reads_values && PyType_HasFeature(type, Py_TPFLAGS_MANAGED_DICT)) {
        PyObject *dict;
        PyObject **values = values_of(instance, &dict);
        Keys *keys = values ? keys_of(type) : NULL;
        if (keys && (own->keys != keys || own->position < 0)) {
            own->keys = keys;
            own->position = position_among(keys, name);
        }
        if (keys && own->position >= 0) {
            return Py_XNewRef(values[own->position]);
        }
        if (dict && PyDict_CheckExact(dict)) {
            PyObject *found = PyDict_GetItemWithError(dict, name);
            PyErr_Clear();
            return Py_XNewRef(found);
        }
    }
#else
    (void)own;
#endif
    PyObject *found = PyObject_GenericGetAttr(instance, name);
    PyErr_Clear();
    return found;
}

#ifdef HAS_VALUES
/* Say whether instances are what we take them for: with values, with a dictionary that somebody asked for, and with another one. */
static int
check_values(void)
{
    PyObject *type = PyObject_CallFunction((PyObject *)&PyType_Type, "s(){}", "Instance");
    PyObject *instance = type ? PyObject_CallNoArgs(type) : NULL;
    PyObject *another = Py_BuildValue("{OO}", name_kind, Py_True);
    int agree = instance && another && PyObject_SetAttr(instance, name_close, Py_None) == 0 &&
                PyObject_SetAttr(instance, name_kind, type) == 0;
    reads_values = 1;
    for (int step = 0; agree && step < 3; step++) {
        PyObject *dict = step == 1 ? PyObject_GetAttrString(instance, "__dict__") : NULL;
        agree = (step != 1 || dict) && (step != 2 || PyObject_SetAttrString(instance, "__dict__", another) == 0);
        OwnAttribute own = {0};
        PyObject *found = agree ? read_own_attribute(instance, name_kind, &own) : NULL;
        agree = found == (step == 2 ? Py_True : type) && (step || (own.keys && own.position == 1 && own.keys->count == 2));
        Py_XDECREF(found);
        Py_XDECREF(dict);
    }
    Py_XDECREF(another);
    Py_XDECREF(instance);
    Py_XDECREF(type);
    PyErr_Clear();
    return agree;
}
#endif

/* Return what an object has by a name, a new reference, without running code of the program; NULL where Python is to look: see
 * base/introspect.py. */
static HOT PyObject *
read_attribute(PyObject *value, PyObject *name)
{
    if (PyLong_CheckExact(name)) {
        Py_ssize_t at = PyLong_AsSsize_t(name);
        int is_there = (PyTuple_CheckExact(value) && at < PyTuple_GET_SIZE(value)) ||
                       (PyList_CheckExact(value) && at < PyList_GET_SIZE(value));
        return is_there ? Py_NewRef(PyTuple_CheckExact(value) ? PyTuple_GET_ITEM(value, at) : PyList_GET_ITEM(value, at)) : NULL;
    }
    PyObject *found;
    OwnAttribute *own;
    if (PyDict_CheckExact(value)) {
        found = PyDict_GetItemWithError(value, name);
        Py_XINCREF(found);
    }
    else if (!PyType_Check(value) && (own = find_own_attribute(Py_TYPE(value), name))) {
        found = read_own_attribute(value, name, own);
        if (found == Py_None) {
            Py_CLEAR(found); /* perhaps the class's */
        }
    }
    else {
        PyObject *on_class = PyType_Check(value) ? NULL : look_up_on_type(Py_TYPE(value), name);
        PyTypeObject *kind = on_class ? Py_TYPE(on_class) : NULL;
        if (PyType_Check(value) || (kind && kind != &PyMemberDescr_Type && (kind->tp_descr_get || kind->tp_descr_set))) {
            return NULL;
        }
        found = PyObject_GenericGetAttr(value, name); /* an instance's own, a slot, or a plain value of the class */
        if (found && found == on_class && !PyUnicode_CheckExact(found) && !PyLong_CheckExact(found)) {
            Py_CLEAR(found);
        }
    }
    if (!found) {
        PyErr_Clear();
    }
    return found;
}
