/* The program's errors, which ours may not disturb. */
#pragma once

#include "base.h"

typedef struct {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *exception;
#else
    PyObject *type, *value, *trace;
#endif
} SavedException;

static inline void
exception_save(SavedException *saved)
{
#if PY_VERSION_HEX >= 0x030C0000
    saved->exception = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&saved->type, &saved->value, &saved->trace);
#endif
}

static inline void
exception_restore(SavedException *saved)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(saved->exception);
#else
    PyErr_Restore(saved->type, saved->value, saved->trace);
#endif
}

/* Return the type of an error that was set aside, borrowed; NULL for none. */
static inline PyObject *
saved_type(const SavedException *saved)
{
#if PY_VERSION_HEX >= 0x030C0000
    return saved->exception ? (PyObject *)Py_TYPE(saved->exception) : NULL;
#else
    return saved->type;
#endif
}

/* Put an error back that was set aside; when there was none, one that came since stays. */
static inline void
exception_restore_unless_new(SavedException *saved)
{
#if PY_VERSION_HEX >= 0x030C0000
    int had = saved->exception != NULL;
#else
    int had = saved->type != NULL;
#endif
    if (had) {
        PyErr_Clear();
        exception_restore(saved);
    }
}

/* Have an exception that leaves a frame be the error that is set, as the parts below ask for it; or none. */
static inline void
set_outcome(PyObject *exception)
{
    if (!exception) {
        return;
    }
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(Py_NewRef(exception));
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(exception)), Py_NewRef(exception), PyException_GetTraceback(exception));
#endif
}

/* Take it away again. -1: another error has come, which must reach the program. */
static inline int
clear_outcome(PyObject *exception)
{
    if (!exception) {
        return PyErr_Occurred() ? -1 : 0;
    }
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *now = PyErr_GetRaisedException();
    if (now && now != exception) {
        PyErr_SetRaisedException(now);
        return -1;
    }
    Py_XDECREF(now);
#else
    PyObject *type, *now, *trace;
    PyErr_Fetch(&type, &now, &trace);
    if (now && now != exception) {
        PyErr_Restore(type, now, trace);
        return -1;
    }
    Py_XDECREF(type);
    Py_XDECREF(now);
    Py_XDECREF(trace);
#endif
    return 0;
}

/* Say whether a value is that text of ASCII. */
static inline int
is_text(PyObject *value, PyObject *text)
{
    return value == text || (value && PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) == PyUnicode_GET_LENGTH(text) &&
                             PyUnicode_IS_COMPACT_ASCII(value) &&
                             !memcmp(PyUnicode_1BYTE_DATA(value), PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text)));
}
