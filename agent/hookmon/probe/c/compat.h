/* All that is read past CPython's public interface. Nothing else of the engine depends on how the interpreter is laid out.
 *
 * Each read has a guard: up to which version, and which check at start makes sure of it. Where a check fails the interface is used,
 * which costs more and is right. What to do when a read goes:
 *
 *   read                                   guard                     when it goes
 *   frames (Frame)                         < 3.14, `check_frames`    nothing: PyEval_GetFrame serves
 *   contexts (Context, Variable, Tree)     < 3.14, `check_contexts`  nothing: PyContextVar_Set and _Reset serve
 *   instances (Keys, `values_of`)          < 3.14, `check_values`    nothing: PyObject_GenericGetAttr serves
 *   the running loop (Running)             < 3.12, `check_loops`     nothing: _asyncio._get_running_loop serves
 *   _asyncio._current_tasks                < 3.14, its type          nothing: _asyncio.current_task serves
 *   C recursion (c_recursion_remaining)    3.12 only                 nothing: 3.13 has ten thousand levels
 *   `thread_context`                       < 3.16                    raise the limit if PyThreadState.context is there; else leave it:
 *                                                                    NULL has each coroutine ask which task runs
 *   `look_up_on_type`                      none: a link error        walk tp_mro and look into each tp_dict
 *   `type_version`                         none: a compile error     return 0: nothing is remembered of a type
 *   `cached_hash`                          none: a compile error     return PyObject_Hash(text)
 *   `vectorcall_of`, `code_of_function`    none: a compile error     return PyVectorcall_Function(function), PyFunction_GetCode
 *   `handled_exception`                    none: a compile error     key generators by their frame object
 *   `context_version`                      < 3.16                    as `thread_context`; 0 has each coroutine ask
 *   co_version (`forget_version`)          < 3.14                    nothing
 */
#pragma once

#include "base.h"
#include "c_recursion.h"

#if PY_VERSION_HEX < 0x030E0000
#define HAS_CURRENT_TASKS
#ifndef Py_GIL_DISABLED /* where objects are laid out otherwise, and threads change them while others read */
#define HAS_FRAMES
#define HAS_CONTEXTS
#define HAS_VALUES
#endif
#endif
#if PY_VERSION_HEX < 0x030C0000
#define HAS_LOOPS
#endif

/* What the running thread's calls see of context variables; only compared. NULL: not known. */
static inline void *
thread_context(PyThreadState *thread)
{
#if PY_VERSION_HEX < 0x03100000
    return thread->context;
#else
    (void)thread;
    return NULL;
#endif
}

/* Return what changes whenever a thread enters or leaves a context, as each step of a task does; 0: not known. */
static inline uint64_t
context_version(PyThreadState *thread)
{
#if PY_VERSION_HEX < 0x03100000
    return thread->context_ver;
#else
    (void)thread;
    return 0;
#endif
}

/* Return what a type or one of its bases has by a name, borrowed, NULL without an error where none has. */
static inline PyObject *
look_up_on_type(PyTypeObject *type, PyObject *name)
{
    return _PyType_Lookup(type, name);
}

/* Return what changes with each change of a type or its bases; 0: nothing does. */
static inline unsigned
type_version(PyTypeObject *type)
{
    return type->tp_version_tag;
}

/* Return the hash of a text where somebody has asked for it, else -1. */
static inline Py_hash_t
cached_hash(PyObject *text)
{
    return ((PyASCIIObject *)text)->hash;
}

/* Return how a function of Python is called, past PyObject_Vectorcall, which checks what it always keeps. */
static inline vectorcallfunc
vectorcall_of(PyObject *function)
{
    return ((PyFunctionObject *)function)->vectorcall;
}

/* Return the code of a function of Python, borrowed. */
static inline PyObject *
code_of_function(PyObject *function)
{
    return ((PyFunctionObject *)function)->func_code;
}

/* From 3.12 on a function of Python has a slot by which each of its calls goes, and tells of functions that are made. */
#if PY_VERSION_HEX >= 0x030C0000
#define HAS_SLOTS
typedef PyFunctionObject FunctionObject;
static inline void
set_vectorcall(PyObject *function, vectorcallfunc way)
{
    PyFunction_SetVectorcall((PyFunctionObject *)function, way);
}

/* Have call sites ask each function of a code object how it is called. Up to 3.13 a new function gets its version from its code, after
 * a watcher of functions was told of it, and call sites take a function with a version as one that nobody has changed. */
static inline void
forget_version(PyObject *code)
{
#if PY_VERSION_HEX < 0x030E0000
    ((PyCodeObject *)code)->co_version = 0;
#else
    (void)code;
#endif
}
#endif

/* Return where the running generator, coroutine or thread keeps the exception that it handles; only compared. */
static inline void *
handled_exception(PyThreadState *thread)
{
    return thread->exc_info;
}

/* Return a variable of a frame, a new reference; NULL without an error where it cannot be had. */
static inline PyObject *
frame_variable(PyFrameObject *frame, PyObject *name)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *value = PyFrame_GetVar(frame, name);
    if (!value) {
        PyErr_Clear();
    }
    return value;
#else
    (void)frame;
    (void)name;
    return NULL; /* the arguments come with the call in the bytecode */
#endif
}

/* Add two references to an object of ours, or take them away: such are never immortal, and Py_INCREF and Py_DECREF would ask. */
#if defined(Py_GIL_DISABLED) || defined(Py_REF_DEBUG)
static inline void
hold_twice(PyObject *object)
{
    Py_INCREF(object);
    Py_INCREF(object);
}
static inline void
let_go_twice(PyObject *object)
{
    Py_DECREF(object);
    Py_DECREF(object);
}
#else
static inline void
hold_twice(PyObject *object)
{
    object->ob_refcnt += 2;
}
static inline void
let_go_twice(PyObject *object)
{
    object->ob_refcnt -= 2;
    if (!LIKELY(object->ob_refcnt)) {
        _Py_Dealloc(object);
    }
}
#endif

/* Frames of the interpreter: an object for each, as PyEval_GetFrame makes them, costs more than all the rest of a call. Source:
 * Include/internal/pycore_frame.h of CPython 3.11, 3.12 and 3.13. */
#ifdef HAS_FRAMES
typedef struct Frame {
#if PY_VERSION_HEX < 0x030C0000
    void *function, *globals, *builtins, *locals;
    PyObject *code;
    void *object;
    struct Frame *previous;
    char *instruction;
#else
    PyObject *code;
    struct Frame *previous;
    void *function, *globals, *builtins, *locals, *object;
    char *instruction;
#endif
} Frame;

static inline Frame *
running_frame(void)
{
#if PY_VERSION_HEX < 0x030D0000
    return (Frame *)PyThreadState_Get()->cframe->current_frame;
#else
    return (Frame *)PyThreadState_Get()->current_frame;
#endif
}

/* Return where a frame is within its code, in bytes. */
static inline uint64_t
frame_offset(Frame *frame)
{
    return (uint64_t)(frame->instruction - (char *)((PyCodeObject *)frame->code)->co_code_adaptive);
}

/* Say whether the running frames are what we take them for. */
static int
check_frames(void)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    Frame *internal = running_frame();
    int agree = frame != NULL;
    for (int depth = 0; frame && agree && depth < 3; depth++) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        char *first = (char *)code->co_code_adaptive;
        for (int skipped = 0; internal && internal->code != (PyObject *)code && skipped < 3; skipped++) {
            internal = internal->previous; /* what stands between C and Python */
        }
        agree = internal && internal->code == (PyObject *)code && internal->instruction >= first - 2 &&
                internal->instruction <= first + 2 * Py_SIZE(code);
        internal = agree ? internal->previous : NULL;
        Py_DECREF(code);
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF((PyObject *)frame);
    return agree;
}
#endif

/* Contexts. What one holds is a tree that never changes. Source: Include/internal/pycore_context.h and pycore_hamt.h of CPython 3.11,
 * 3.12 and 3.13. */
#ifdef HAS_CONTEXTS
typedef struct {
    PyObject_HEAD
    void *previous;
    PyObject *vars;
    PyObject *weakrefs;
    int entered;
} Context;

typedef struct {
    PyObject_HEAD
    PyObject *name;
    PyObject *initial;
    PyObject *cached; /* borrowed from the tree */
    uint64_t cached_by, cached_at;
    Py_hash_t hash;
} Variable;

typedef struct {
    PyObject_HEAD
    PyObject *root;
    PyObject *weakrefs;
    Py_ssize_t count;
} Tree;

typedef struct { /* of a few variables; there are other kinds for many */
    PyObject_VAR_HEAD
    uint32_t bitmap;
    PyObject *pairs[1]; /* variable and value; NULL and a branch */
} Branch;

static inline Context *
running_context(PyThreadState *thread)
{
    return (Context *)thread->context;
}

/* Have the interpreter find a variable's value (borrowed) in its cache, as after it was set. */
static inline void
fill_cache(Variable *variable, PyObject *value, PyThreadState *thread)
{
    variable->cached = value;
    variable->cached_by = thread->id;
    variable->cached_at = thread->context_ver;
}

/* Have the interpreter look a variable up in the context the next time. */
static inline void
forget_cache(Variable *variable)
{
    variable->cached = NULL;
}

/* Say whether its cache holds a value as `fill_cache` would have put it there. */
static inline int
is_in_cache(Variable *variable, PyObject *value, PyThreadState *thread)
{
    return variable->cached == value && variable->cached_by == thread->id && variable->cached_at == thread->context_ver;
}
#endif

/* What instances keep their attributes in: to ask for six of them as Python does costs a Flask request 3,000 instructions, a third of
 * its price, and each look-up in the table that all classes share can push out one of the program's. Source:
 * Include/internal/pycore_dict.h and pycore_object.h of CPython 3.11, 3.12 and 3.13. */
#ifdef HAS_VALUES
typedef struct {
    Py_ssize_t references;
    uint8_t log2_size, log2_index_bytes, kind;
    uint32_t version;
    Py_ssize_t usable, count;
    char indices[];
} Keys;
enum { SPLIT_KEYS = 2 };

static inline Keys *
keys_of(PyTypeObject *type)
{
    Keys *keys = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) ? (Keys *)((PyHeapTypeObject *)type)->ht_cached_keys : NULL;
    return keys && keys->kind == SPLIT_KEYS ? keys : NULL;
}

/* Return the position of a name among the attributes of a type's instances, -1 where they have none of that name. */
static Py_ssize_t
position_among(Keys *keys, PyObject *name)
{
    PyObject **pairs = (PyObject **)(keys->indices + ((size_t)1 << keys->log2_index_bytes));
    for (Py_ssize_t i = 0; i < keys->count; i++) {
        if (pairs[2 * i] == name) {
            return i;
        }
    }
    return -1;
}

/* Return the values of an instance by their positions; else NULL and its dictionary, borrowed, or NULL. */
static inline PyObject **
values_of(PyObject *instance, PyObject **dict)
{
#if PY_VERSION_HEX < 0x030C0000
    *dict = ((PyObject **)instance)[-3];
    return ((PyObject ***)instance)[-4];
#elif PY_VERSION_HEX < 0x030D0000
    uintptr_t either = ((uintptr_t *)instance)[-3];
    *dict = either & 1 ? NULL : (PyObject *)either;
    return either & 1 ? (PyObject **)(either + 1) : NULL;
#else
    struct {
        PyObject head;
        uint8_t capacity, size, embedded, valid;
        PyObject *values[1];
    } *inline_values = (void *)instance;
    *dict = ((PyObject **)instance)[-3];
    return PyType_HasFeature(Py_TYPE(instance), Py_TPFLAGS_INLINE_VALUES) && inline_values->valid ? inline_values->values : NULL;
#endif
}
#endif

/* What holds the running loop of a thread: asyncio's own answer asks the system at each call which process this is, and that takes a
 * third of all that a watched coroutine costs. Source: Modules/_asynciomodule.c of CPython 3.11; later versions do not ask. */
#ifdef HAS_LOOPS
#include <unistd.h>
typedef struct {
    PyObject_HEAD
    PyObject *loop;
    pid_t pid;
} Running;

/* Return what holds the thread's running loop, borrowed; NULL where nothing does (E_ASK). */
static inline Running *
present_running(PyObject *key)
{
    PyObject *dict = PyThreadState_GetDict();
    return dict ? (Running *)PyDict_GetItemWithError(dict, key) : NULL;
}
#endif
