/* A part of compat.h: what CPython 3.12 counts of calls in C. */
#pragma once

#include "base.h"

/* CPython 3.12 counts calls in C against a limit of 1,500 that nobody can set, and a function of Python that is called by C takes two
 * of them (PY_EVAL_C_STACK_UNITS): a watched recursion would end at 748 levels. So these are given back while it runs: Python's own
 * limit counts its frames all the same, and layout.DEEPEST holds the stack. From 3.13 on there are 10,000. */
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
enum { UNITS_OF_A_CALL = 2 };

/* The state of this thread, as long as there is one: to ask for it takes 38 instructions where Python is a shared library, a fifth of
 * all that a call costs. What it keeps for us tells when it goes. */
OWN_TO_THREAD PyThreadState *own_thread;

static void
on_thread_state_end(PyObject *kept)
{
    if (own_thread == PyCapsule_GetPointer(kept, NULL)) { /* else another thread takes it away, and its own has ended */
        own_thread = NULL;
    }
}

/* Return the state of this thread, and remember it while it lives. E_KEEP. */
static __attribute__((cold, noinline)) PyThreadState *
find_own_thread(void)
{
    PyThreadState *thread = PyThreadState_Get();
    PyObject *error = PyErr_GetRaisedException();
    PyObject *dict = thread->_status.finalizing ? NULL : PyThreadState_GetDict();
    PyObject *kept = dict ? PyCapsule_New(thread, NULL, on_thread_state_end) : NULL;
    PyObject *key = kept ? PyLong_FromVoidPtr(&own_thread) : NULL;
    if (key && PyDict_SetItem(dict, key, kept) == 0) {
        own_thread = thread;
    }
    Py_XDECREF(key);
    Py_XDECREF(kept);
    PyErr_SetRaisedException(error);
    return thread;
}

static inline PyThreadState *
lend_c_recursion(void)
{
    PyThreadState *thread = PyThreadState_Get();
    thread->c_recursion_remaining += UNITS_OF_A_CALL;
    return thread;
}
/* The same, in the interpreter that we came into first. */
static inline PyThreadState *
lend_own_c_recursion(void)
{
    PyThreadState *thread = own_thread;
    if (!LIKELY(thread)) {
        thread = find_own_thread();
    }
    thread->c_recursion_remaining += UNITS_OF_A_CALL;
    return thread;
}
static inline void
reclaim_c_recursion(PyThreadState *thread)
{
    thread->c_recursion_remaining -= UNITS_OF_A_CALL;
}
#else
static inline PyThreadState *
lend_c_recursion(void)
{
    return NULL;
}
static inline PyThreadState *
lend_own_c_recursion(void)
{
    return NULL;
}
static inline void
reclaim_c_recursion(PyThreadState *Py_UNUSED(thread))
{
}
#endif
