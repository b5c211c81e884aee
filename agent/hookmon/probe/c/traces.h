/* Traces: the calls of an open transaction, lane by lane. As in transactions/traces.py. */
#pragma once

#include "base.h"
#include "checks.h"
#include "interned.h"
#include "numbers.h"
#include "state.h"
#include "types.h"

#ifdef Py_GIL_DISABLED
#define LOCK_TRACE(trace) PyMutex_Lock(&(trace)->lock)
#define UNLOCK_TRACE(trace) PyMutex_Unlock(&(trace)->lock)
#else
#define LOCK_TRACE(trace) ((void)0)
#define UNLOCK_TRACE(trace) ((void)0)
#endif

static HOT void
forget_events(Trace *self)
{
    Py_ssize_t count = self->count;
    self->count = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_DECREF(self->events[i].node);
    }
}

/* Add the calls up by node. */
static void
fold(Trace *self)
{
    Event *events = self->events;
    Py_ssize_t kept = 0;
    LOCK(); /* of the sums in the nodes */
    for (Py_ssize_t i = 0; i < self->count; i++) {
        events[i].node->tally += events[i].calls;
        events[i].node->tally_ns += events[i].duration_ns;
    }
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Node *node = events[i].node;
        if (node->tally) {
            events[kept++] = (Event){node, 0, node->tally_ns, OUTCOME_RETURNED, (uint32_t)node->tally};
            node->tally = node->tally_ns = 0;
        }
        else {
            Py_DECREF(node); /* never the last one: the event that was kept has one */
        }
    }
    UNLOCK();
    self->count = kept;
    if (kept > MOST_EVENTS / 2) { /* thousands of names in one transaction: what is per transaction begins anew */
        forget_events(self);
    }
}

static HOT void
trace_add(Trace *self, Node *node, uint64_t started_ns, uint64_t duration_ns, int outcome)
{
    LOCK_TRACE(self);
    if (self->count >= self->room) {
        if (self->room >= MOST_EVENTS) {
            fold(self);
        }
        else {
            Py_ssize_t room = self->room ? 4 * self->room : 16;
            room = room < MOST_EVENTS ? room : MOST_EVENTS;
            Event *events = PyMem_Realloc(self->events, (size_t)room * sizeof *events);
            if (!events) {
                UNLOCK_TRACE(self);
                return;
            }
            self->events = events;
            self->room = room;
        }
    }
    self->events[self->count++] =
        (Event){(Node *)Py_NewRef(node), started_ns, duration_ns, (uint32_t)outcome, 1};
    UNLOCK_TRACE(self);
}

/* Take the call that ended last out of a trace; the reference is the caller's. Says whether there was one. */
static inline int
pop_event(Trace *self, Event *last)
{
    LOCK_TRACE(self);
    int is_there = self->count > 0;
    if (is_there) {
        *last = self->events[--self->count];
    }
    UNLOCK_TRACE(self);
    return is_there;
}

/* Return an event of a trace; its node is NULL where there are fewer. */
static inline Event
event_at(Trace *self, Py_ssize_t i)
{
    LOCK_TRACE(self);
    Event event = i < self->count ? self->events[i] : (Event){NULL, 0, 0, 0, 0};
    UNLOCK_TRACE(self);
    return event;
}

static PyObject *
event_tuple(Event *event)
{
    return Py_BuildValue("OKKII", (PyObject *)event->node, (unsigned long long)event->started_ns,
                         (unsigned long long)event->duration_ns, (unsigned)event->outcome, (unsigned)event->calls);
}

static PyObject *
trace_add_for_python(Trace *self, PyObject *args)
{
    Node *node;
    unsigned long long started_ns, duration_ns;
    int outcome;
    if (!PyArg_ParseTuple(args, "O!KKi", NodeType, &node, &started_ns, &duration_ns, &outcome)) {
        return NULL;
    }
    trace_add(self, node, started_ns, duration_ns, outcome);
    Py_RETURN_NONE;
}

static PyObject *
trace_take_last(Trace *self, PyObject *Py_UNUSED(ignored))
{
    Event last;
    if (!pop_event(self, &last)) {
        Py_RETURN_NONE;
    }
    PyObject *answer = event_tuple(&last);
    Py_DECREF(last.node);
    return answer;
}

static PyObject *
trace_events(Trace *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *answer = PyList_New(0);
    for (Py_ssize_t i = 0; answer && i < self->count; i++) {
        Event there = event_at(self, i);
        if (!there.node) {
            break;
        }
        PyObject *event = event_tuple(&there);
        if (!event || PyList_Append(answer, event) < 0) {
            Py_CLEAR(answer);
        }
        Py_XDECREF(event);
    }
    return answer;
}

static PyObject *
trace_replace(Trace *self, PyObject *events)
{
    if (!PyList_Check(events) || PyList_GET_SIZE(events) > self->room) {
        PyErr_SetString(PyExc_ValueError, "as many events as there were, or fewer");
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(events);
    for (Py_ssize_t i = 0; i < count; i++) {
        Event event;
        Node *node;
        unsigned long long started_ns, duration_ns;
        unsigned outcome, calls;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(events, i), "O!KKII", NodeType, &node, &started_ns, &duration_ns, &outcome, &calls)) {
            return NULL;
        }
        event = (Event){(Node *)Py_NewRef(node), started_ns, duration_ns, outcome, calls};
        LOCK_TRACE(self);
        Node *before = i < self->count ? self->events[i].node : NULL;
        self->events[i] = event;
        self->count = before ? self->count : i + 1;
        UNLOCK_TRACE(self);
        Py_XDECREF(before);
    }
    for (Event last; self->count > count && pop_event(self, &last);) {
        Py_DECREF(last.node);
    }
    Py_RETURN_NONE;
}

/* Traces keep their room. */
#define trace_freelist (state.trace_freelist)
#define trace_freelist_count (state.trace_freelist_count)

static HOT void
trace_dealloc(Trace *self)
{
    PyTypeObject *type = Py_TYPE(self);
    forget_events(self);
#ifdef Py_GIL_DISABLED
    int is_kept = 0;
#else
    int is_kept = trace_freelist_count < MOST_FREE && self->room <= MOST_ROOM_KEPT;
#endif
    if (is_kept) {
        trace_freelist[trace_freelist_count++] = self;
    }
    else {
        PyMem_Free(self->events);
        type->tp_free(self);
    }
    Py_DECREF(type);
}

static PyObject *
new_trace(void)
{
    return trace_freelist_count ? PyObject_Init((PyObject *)trace_freelist[--trace_freelist_count], TraceType)
                             : TraceType->tp_alloc(TraceType, 0);
}

static PyMethodDef trace_methods[] = {
    {"add", (PyCFunction)trace_add_for_python, METH_VARARGS, "add($self, node, started_ns, duration_ns, outcome, /)\n--\n\nNote a completed call."},
    {"take_last", (PyCFunction)trace_take_last, METH_NOARGS, "take_last($self, /)\n--\n\nRemove and return the call that ended last."},
    {"events", (PyCFunction)trace_events, METH_NOARGS, "events($self, /)\n--\n\nReturn the calls by their ends."},
    {"replace", (PyCFunction)trace_replace, METH_O, "replace($self, events, /)\n--\n\nPut other calls in the place of those that are known."},
    {NULL, NULL, 0, NULL},
};

static inline void
raise_word_to(uint64_t *word, uint64_t value)
{
    if (*word < value) {
        *word = value;
    }
}

/* Count a node's calls in a transaction. */
static inline void
settle_node(uint64_t *words, Node *node)
{
    if (node->whole && node->per_transaction) {
        ADD_TO(words[node->per_transaction + PER_TRANSACTIONS], 1);
        raise_word_to(&words[node->per_transaction + PER_MOST], node->whole);
    }
    node->whole = 0;
}

/* Write down how often each node was called in one transaction, whose lanes these are. First all that calls Python; what comes
 * then, with its sums in the nodes, nobody can interrupt. -1 with an error. */
static HOT int
settle(Trace *const *traces, Py_ssize_t lanes)
{
    for (Py_ssize_t k = 0; k < lanes; k++) {
        for (Py_ssize_t i = 0; i < traces[k]->count; i++) {
            Node *node = event_at(traces[k], i).node;
            if (node && !node->per_transaction && node->number) {
                Py_INCREF(node);
                PyObject *answer = PyObject_CallOneArg(state.callbacks.new_per_transaction, (PyObject *)node);
                Py_DECREF(node);
                if (!answer) {
                    return -1;
                }
                Py_DECREF(answer);
            }
        }
    }
    uint64_t *words = state.words;
    for (Py_ssize_t k = 0; k < lanes; k++) {
        LOCK_TRACE(traces[k]);
    }
    LOCK();
    for (Py_ssize_t k = 0; k < lanes; k++) {
        Event *events = traces[k]->events, *end = events + traces[k]->count;
        for (Event *event = events; event < end; event++) {
            CHECK(!event->node->per_transaction || is_word(event->node->per_transaction + PER_WORDS - 1));
            event->node->tally += event->calls;
            event->node->tally_ns += event->duration_ns;
        }
        for (Event *event = events; event < end; event++) {
            Node *node = event->node;
            if (!node->tally) {
                continue; /* seen in this lane */
            }
            if (node->tally >= REPEATED && node->per_transaction) {
                ADD_TO(words[node->per_transaction + PER_REPEATED], 1);
                ADD_TO(words[node->per_transaction + PER_REPEATED_CALLS], node->tally);
                ADD_TO(words[node->per_transaction + PER_REPEATED_NS], node->tally_ns);
                raise_word_to(&words[node->per_transaction + PER_MOST_REPEATED], node->tally);
            }
            node->whole += node->tally;
            node->tally = node->tally_ns = 0;
            if (lanes == 1) {
                settle_node(words, node);
            }
        }
    }
    for (Py_ssize_t k = 0; k < lanes && lanes > 1; k++) {
        for (Py_ssize_t i = 0; i < traces[k]->count; i++) {
            settle_node(words, traces[k]->events[i].node);
        }
    }
    UNLOCK();
    for (Py_ssize_t k = 0; k < lanes; k++) {
        UNLOCK_TRACE(traces[k]);
    }
    CHECK(words == state.words); /* I1 */
    return 0;
}

/* Do the same with a list, which may change meanwhile. */
static int
settle_list(PyObject *list)
{
    PyObject *traces = PyList_Check(list) ? PyList_AsTuple(list) : NULL;
    Py_ssize_t lanes = traces ? PyTuple_GET_SIZE(traces) : 0;
    int is_sound = traces != NULL;
    for (Py_ssize_t k = 0; is_sound && k < lanes; k++) {
        is_sound = Py_IS_TYPE(PyTuple_GET_ITEM(traces, k), TraceType);
    }
    if (!is_sound && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "a list of traces");
    }
    int answer = is_sound ? settle((Trace *const *)PySequence_Fast_ITEMS(traces), lanes) : -1;
    Py_XDECREF(traces);
    return answer;
}

static PyObject *
settle_for_python(PyObject *Py_UNUSED(module), PyObject *list)
{
    if (settle_list(list) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}
