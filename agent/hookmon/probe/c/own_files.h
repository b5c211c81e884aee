/* The files of the program's own modules, all of whose functions are watched: see patching/own_modules.py. */
#pragma once

#include "base.h"
#include "errors.h"
#include "state.h"

/* {file: function of a code object}, of the program's own modules: each of their functions comes to us at its first call, when that
 * has it watched, or not. Most functions of a program are never called. NULL: there are none. */
#define own_files (state.own_files)

static PyObject *
beginner_of_file(PyObject *file)
{
    SavedException saved;
    exception_save(&saved);
    PyObject *begin = PyDict_GetItemWithError(own_files, file);
    PyErr_Clear();
    exception_restore(&saved);
    return begin;
}

/* Return what begins to watch a function's code, borrowed, or NULL: it is not own, or there is an error, which no signal handler's is.
 * One that is on its way already stays: the frame that Cython makes for a traceback has a function, of which we are told. */
static inline PyObject *
beginner_of(PyObject *code)
{
    return own_files ? beginner_of_file(((PyCodeObject *)code)->co_filename) : NULL;
}
