/* The functions of the module for Python: where the words are, greenlets, forks, clocks, what is read. */
#pragma once

#include "base.h"
#include "attributes.h"
#include "clock.h"
#include "compat.h"
#include "contexts.h"
#include "counting.h"
#include "histogram.h"
#include "lanes.h"
#include "names.h"
#include "records.h"
#include "state.h"
#include "tasks.h"
#include "types.h"

static PyObject *
set_words(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *view;
    Py_buffer buffer;
    int shared;
    if (!PyArg_ParseTuple(args, "Op", &view, &shared) || PyObject_GetBuffer(view, &buffer, PyBUF_WRITABLE | PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    /* The old view stays held: what was in flight may still look at it. There is one for each fork at most. */
    state.buffer = buffer;
    state.words = buffer.buf;
    state.shared = shared;
    Py_RETURN_NONE;
}

/* The shard ends in the midst of whatever the threads do: indices into it stay good, and lead to nobody's memory. */
static PyObject *
cover_words(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (state.words && state.shared) {
        cover(state.words, (size_t)state.buffer.len);
        state.shared = 0;
    }
    Py_RETURN_NONE;
}

/* Look whether what is read past CPython's interface is laid out as expected; what is not is asked for from then on. */
static void
check_reads(void)
{
#ifdef HAS_FRAMES
    reads_frames = check_frames();
#endif
#ifdef HAS_CONTEXTS
    reads_contexts = check_contexts();
#endif
#ifdef HAS_VALUES
    reads_values = check_values();
#endif
}

/* Take a callback out of those that are given; the caller holds it. */
static int
take_callback(PyObject *given, const char *name, PyObject **place)
{
    PyObject *callback = PyDict_GetItemString(given, name);
    if (!callback || !PyCallable_Check(callback)) {
        PyErr_Format(PyExc_TypeError, callback ? "configure(): '%s' cannot be called" : "configure() lacks '%s'", name);
        return -1;
    }
    Py_XSETREF(*place, Py_NewRef(callback));
    return 0;
}

#define COUNT_CALLBACK(name) +1
#define TAKE_CALLBACK(name) \
    if (take_callback(callbacks, #name, &state.callbacks.name) < 0) { \
        return NULL; \
    }

static PyObject *
configure(PyObject *Py_UNUSED(module), PyObject *args, PyObject *callbacks)
{
    PyObject *root, *no_children, *members;
    if (!PyArg_ParseTuple(args, "OO!O", &root, ChildrenType, &no_children, &members)) {
        return NULL;
    }
    if (!callbacks || PyDict_GET_SIZE(callbacks) != 0 CALLBACKS(COUNT_CALLBACK)) {
        PyErr_Format(PyExc_TypeError, "configure() takes %d callbacks, not %zd", 0 CALLBACKS(COUNT_CALLBACK),
                     callbacks ? PyDict_GET_SIZE(callbacks) : 0);
        return NULL;
    }
    CALLBACKS(TAKE_CALLBACK)
    Py_XSETREF(state.members, Py_NewRef(members));
    if (!PyFunction_Check(state.callbacks.flat_node)) {
        PyErr_SetString(PyExc_TypeError, "configure(): 'flat_node' is no function of Python");
        return NULL;
    }
    state.plain = vectorcall_of(state.callbacks.flat_node);
    __atomic_store_n(&plain_call, state.plain, __ATOMIC_RELAXED);
    check_reads();
    Py_XSETREF(state.root, Py_NewRef(root));
    Py_XSETREF(state.no_children, (Children *)Py_NewRef(no_children));
    Py_RETURN_NONE;
}

/* use_records(records, nodes, flat, /): write new places there, or, without records, have Python make them. */
static PyObject *
use_records(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *records, *nodes, *flat;
    if (!PyArg_ParseTuple(args, "OO!O!", &records, &PyList_Type, &nodes, ChildrenType, &flat)) {
        return NULL;
    }
    if (records != Py_None && !PyObject_TypeCheck(records, RecordsType)) {
        PyErr_SetString(PyExc_TypeError, "places are written to Records");
        return NULL;
    }
    if (records != Py_None) {
        mark_process();
    }
    Py_XSETREF(state.nodes, Py_NewRef(nodes));
    Py_XSETREF(state.flat, (Children *)Py_NewRef(flat));
    Py_XSETREF(state.records, records == Py_None ? NULL : (Records *)Py_NewRef(records));
    Py_RETURN_NONE;
}

static PyObject *
use_greenlets(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *getcurrent, *lanes;
    if (!PyArg_ParseTuple(args, "OO!", &getcurrent, &PyDict_Type, &lanes)) {
        return NULL;
    }
    Py_XSETREF(state.greenlet_lanes, Py_NewRef(lanes));
    Py_XSETREF(state.getcurrent, Py_NewRef(getcurrent));
    state.lane_epoch = NO_EPOCH;
    Py_RETURN_NONE;
}

static PyObject *
after_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (state.forked) { /* counted already */
        state.forked = 0;
    }
    else {
        count_fork(&state);
    }
#ifdef HAS_LOOPS
    own_pid = getpid();
#endif
    while (has_part() && per_thread.spares) {
        Py_DECREF(per_thread.spare[--per_thread.spares]);
    }
    for (Lane *lane; (lane = take_lane_of_thread());) {
        Py_DECREF(lane);
    }
    take_ended_threads(); /* of the parent */
    Py_RETURN_NONE;
}

static PyObject *
follow_thread(PyObject *Py_UNUSED(module), PyObject *lane)
{
    if (!Py_IS_TYPE(lane, LaneType)) {
        PyErr_SetString(PyExc_TypeError, "a thread has a Lane");
        return NULL;
    }
    follow_thread_end((Lane *)lane);
    Py_RETURN_NONE;
}

static PyObject *
count_call_for_python(PyObject *Py_UNUSED(module), PyObject *args)
{
    Node *node;
    unsigned long long duration_ns;
    if (!PyArg_ParseTuple(args, "O!K", NodeType, &node, &duration_ns)) {
        return NULL;
    }
    count_call(node, duration_ns);
    Py_RETURN_NONE;
}

static PyObject *
bucket_for_python(PyObject *Py_UNUSED(module), PyObject *value)
{
    unsigned long long duration_ns = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred()) {
        return NULL;
    }
    return PyLong_FromLong(bucket_of(duration_ns));
}

static PyObject *
use_counter(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#ifdef HAS_COUNTER
#ifdef Py_GIL_DISABLED
    state.uses_counter = 1; /* of each thread from its first call on */
    if (make_part() < 0) {
        return PyErr_NoMemory();
    }
#endif
    begin_counter();
#endif
    Py_RETURN_NONE;
}

static PyObject *
uses_counter(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#ifdef HAS_COUNTER
    (void)begin_thread();
    return PyBool_FromLong(counter.limit != 0);
#else
    Py_RETURN_FALSE;
#endif
}

static PyObject *
now_for_python(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(now_ns());
}

static PyObject *
reads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!state.members) { /* not configured yet: somebody only asks */
        state.members = PyContextVar_New("hookmon", NULL);
        if (!state.members) {
            return NULL;
        }
        check_reads();
        Py_CLEAR(state.members);
    }
#ifdef HAS_FRAMES
    PyObject *known = Py_BuildValue("{sNsNsNsN}", "frames", PyBool_FromLong(reads_frames), "contexts", PyBool_FromLong(reads_contexts),
                                    "trees", PyBool_FromLong(branch_type != NULL), "values", PyBool_FromLong(reads_values));
#ifdef HAS_LOOPS
    PyObject *loops = reads_loops ? (reads_loops > 0 ? Py_True : Py_False) : Py_None;
    if (known && PyDict_SetItemString(known, "loops", loops) < 0) {
        Py_CLEAR(known);
    }
#endif
    return known;
#else
    return PyDict_New();
#endif
}

static PyObject *
join_from_now_on(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    state.joining = 1;
    Py_RETURN_NONE;
}
