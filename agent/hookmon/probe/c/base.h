/* What every part stands on: Python's header, the C library, and words for the compiler. */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if PY_VERSION_HEX < 0x030C0000
#include <structmember.h>
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_T_ULONGLONG T_ULONGLONG
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_T_INT T_INT
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
