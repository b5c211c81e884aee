/* What every part stands on: Python's header, the C library, and words for the compiler. */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"
#if PY_MAJOR_VERSION != 3 || PY_MINOR_VERSION > NEWEST_MINOR
#error "this CPython is newer than those that hookmon knows (core/layout.NEWEST_MINOR); the pure engine serves there"
#endif

#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_T_ULONGLONG T_ULONGLONG
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_T_INT T_INT
#define Py_T_UINT T_UINT
#define Py_T_LONG T_LONG
#define Py_T_SHORT T_SHORT
#define Py_T_BOOL T_BOOL
#define Py_READONLY READONLY
#endif

#define LIKELY(claim) __builtin_expect(!!(claim), 1)
#define RARE __attribute__((cold, noinline))
#define HOT __attribute__((hot)) /* beside each other in memory */
#if defined(__GLIBC__) /* which keeps some room for it; elsewhere a library that is loaded late cannot have it */
#define OWN_TO_THREAD static _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define OWN_TO_THREAD static _Thread_local
#endif

/* Whether two strings, either of which may be NULL or no string, are one text. */
static inline int
is_same_text(PyObject *one, PyObject *other)
{
    return one == other || (one && other && PyUnicode_Check(one) && PyUnicode_Check(other) && PyUnicode_Compare(one, other) == 0);
}

/* Of types. */
#define SLOT(id, function) {id, (void *)(function)}
#define PLAIN_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC)
