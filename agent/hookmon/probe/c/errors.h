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

/* Say whether a value is that text of ASCII. */
static inline int
is_text(PyObject *value, PyObject *text)
{
    return value == text || (value && PyUnicode_CheckExact(value) && PyUnicode_GET_LENGTH(value) == PyUnicode_GET_LENGTH(text) &&
                             PyUnicode_IS_COMPACT_ASCII(value) &&
                             !memcmp(PyUnicode_1BYTE_DATA(value), PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text)));
}
