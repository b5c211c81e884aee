/* The files of the program's own modules, all of whose functions are watched: see patching/own_modules.py. */
#pragma once

#include "base.h"
#include "state.h"

/* {file: function of a code object}, of the program's own modules: each of their functions comes to us at its first call, when that
 * has it watched, or not. Most functions of a program are never called. NULL: there are none. */
#define own_files (state.own_files)

/* Return what begins to watch a function's code, borrowed, or NULL: it is not own, or there is an error, which no signal handler's is. */
static inline PyObject *
beginner_of(PyObject *code)
{
    PyObject *begin = own_files ? PyDict_GetItemWithError(own_files, ((PyCodeObject *)code)->co_filename) : NULL;
    if (!begin) {
        PyErr_Clear();
    }
    return begin;
}
