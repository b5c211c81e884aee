/* Tasks: which one runs. */
#pragma once

#include "base.h"
#include "compat.h"
#include "interned.h"
#include "state.h"

/* Find the functions that tell the running task: in the module _asyncio. -1 with an error. */
static int
find_asyncio(void)
{
    PyObject *module = PyDict_GetItemWithError(PyImport_GetModuleDict(), name_asyncio);
    if (!module) {
        return PyErr_Occurred() ? -1 : 0;
    }
    Py_INCREF(module);
    PyObject *get_loop = PyObject_GetAttr(module, name_get_running_loop);
    PyErr_Clear();
#ifdef HAS_CURRENT_TASKS
    PyObject *current_tasks = PyObject_GetAttr(module, name_current_tasks);
    PyErr_Clear();
#else
    PyObject *current_tasks = NULL;
#endif
    if (current_tasks && !PyDict_Check(current_tasks)) {
        Py_CLEAR(current_tasks);
    }
    PyObject *current_task = current_tasks ? NULL : PyObject_GetAttr(module, name_current_task); /* not in 3.11 */
    PyErr_Clear();
    Py_DECREF(module);
    if (!get_loop || (!current_task && !current_tasks)) {
        Py_XDECREF(get_loop); /* half imported, or an asyncio that we do not know: nothing is a task */
        Py_XDECREF(current_task);
        Py_XDECREF(current_tasks);
        return 0;
    }
    state.current_task = current_task;
    state.current_tasks = current_tasks;
    state.get_loop = get_loop;
    return 0;
}

/* asyncio is asked for the running loop, until what we read has once been its answer. */
#ifdef HAS_LOOPS
#define reads_loops (state.reads_loops)
#define own_pid (state.own_pid)

/* Say whether a loop that runs is held as we take it to be. An error that is set is ours. */
static RARE void
check_loops(PyObject *loop)
{
    own_pid = getpid();
    Running *running = present_running(name_running_loop);
    int is_known = running && Py_TYPE(running)->tp_basicsize == sizeof(Running) && running->loop == loop && running->pid == own_pid;
    PyErr_Clear();
    reads_loops = is_known ? 1 : -1;
}
#endif

/* Return the loop that runs in this thread, None where none does. NULL with an error. */
static inline PyObject *
running_loop(void)
{
#ifdef HAS_LOOPS
    if (LIKELY(reads_loops > 0)) {
        Running *running = present_running(name_running_loop);
        if (!running && PyErr_Occurred()) {
            return NULL;
        }
        return Py_NewRef(running && running->pid == own_pid ? running->loop : Py_None);
    }
#endif
    PyObject *loop = PyObject_CallNoArgs(state.get_loop);
#ifdef HAS_LOOPS
    if (loop && loop != Py_None && !reads_loops) {
        check_loops(loop);
    }
#endif
    return loop;
}

static PyObject *ask_for_task(void);

/* Return the identity of the running asyncio task, 0 when there is none (trio and others, plain callbacks). NULL with an error. */
static inline PyObject *
running_task(PyThreadState *thread)
{
    uint64_t version = context_version(thread);
    void *context = thread_context(thread);
    if (LIKELY(version && version == asked_last.version && context && context == asked_last.context)) {
        return Py_NewRef(asked_last.task);
    }
    PyObject *task = ask_for_task();
    if (task && context) {
        PyObject *before = asked_last.task;
        asked_last.version = version;
        asked_last.context = context;
        asked_last.task = Py_NewRef(task);
        Py_XDECREF(before);
    }
    return task;
}

static PyObject *
ask_for_task(void)
{
    if (!state.get_loop && find_asyncio() < 0) {
        return NULL;
    }
    PyObject *loop = state.get_loop ? running_loop() : Py_NewRef(Py_None);
    if (!loop || loop == Py_None) {
        Py_XDECREF(loop);
        return loop ? PyLong_FromLong(0) : NULL;
    }
    PyObject *task;
    if (state.current_task) {
        task = PyObject_CallNoArgs(state.current_task);
    }
    else {
        task = PyDict_GetItemWithError(state.current_tasks, loop);
        task = task ? Py_NewRef(task) : PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    Py_DECREF(loop);
    PyObject *identity = task ? PyLong_FromVoidPtr(task) : NULL;
    Py_XDECREF(task);
    return identity;
}
